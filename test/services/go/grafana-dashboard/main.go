// Reads Grafana dashboards with Grafana's own types, which know every field of them and of their panels.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s:\n%v\n", path, err)
			os.Exit(1)
		}
	}
}

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var found dashboard.Dashboard
	// Without a fault it is an empty list, which is not nil.
	if err := found.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		return err
	}
	return found.Validate()
}
