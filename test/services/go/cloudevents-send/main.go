// Sends one event in binary mode and one structured to the address given, with the CloudEvents SDK; prints the statuses.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/protocol/http"
)

func main() {
	client, err := cloudevents.NewClientHTTP()
	if err != nil {
		log.Fatal(err)
	}
	target := cloudevents.ContextWithTarget(context.Background(), os.Args[1])
	send(client, cloudevents.WithEncodingBinary(target), "go-binary")
	send(client, cloudevents.WithEncodingStructured(target), "go-structured")
}

func send(client cloudevents.Client, ctx context.Context, id string) {
	event := cloudevents.NewEvent()
	event.SetID(id)
	event.SetSource("/sdk/go")
	event.SetType("sdk.test")
	event.SetSubject("äö 100 %")
	event.SetTime(time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC))
	event.SetExtension("count", 3)
	event.SetExtension("urgent", true)
	if err := event.SetData(cloudevents.ApplicationJSON, map[string]int64{"n": 9007199254740993}); err != nil {
		log.Fatal(err)
	}
	result := client.Send(ctx, event)
	var reply *http.Result
	if !cloudevents.ResultAs(result, &reply) {
		log.Fatal(result)
	}
	fmt.Println(id, reply.StatusCode)
}
