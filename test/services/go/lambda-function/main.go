// A Lambda function that reads events of a self-managed Kafka with AWS's own types. What it does with a record,
// the record's value says.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

type order struct {
	Do   string          `json:"do,omitempty"`
	ID   string          `json:"id,omitempty"`
	With json.RawMessage `json:"with,omitempty"`
	Pad  string          `json:"pad,omitempty"`
}

type identifier struct {
	Partition string `json:"partition"`
	Offset    int64  `json:"offset"`
}

type failure struct {
	ItemIdentifier identifier `json:"itemIdentifier"`
}

// A function that is killed with its emulator must not be left behind.
var emulator = os.Getppid()

// Records that it could not take.
var failed = map[string]bool{}

func main() {
	lambda.Start(handle)
}

func handle(_ context.Context, event events.KafkaEvent) (any, error) {
	failures := []failure{}
	var answer any
	partitions := []string{}
	for partition := range event.Records {
		partitions = append(partitions, partition)
	}
	sort.Strings(partitions)
	for _, partition := range partitions {
		for _, record := range event.Records[partition] {
			value, err := base64.StdEncoding.DecodeString(record.Value)
			if err != nil {
				return nil, err
			}
			var order order
			_ = json.Unmarshal(value, &order)
			keep(event, record, order)
			place := fmt.Sprintf("%s-%d", partition, record.Offset)
			switch order.Do {
			case "fail", "fail once":
				if order.Do == "fail once" && failed[place] {
					break
				}
				failed[place] = true
				failures = append(failures, failure{identifier{partition, record.Offset}})
			case "error":
				return nil, errors.New("no such order")
			case "exit":
				panic("out of luck")
			case "hang":
				for os.Getppid() == emulator {
					time.Sleep(100 * time.Millisecond)
				}
			case "long":
				answer = map[string]string{"text": strings.Repeat("x", 7*1024*1024)}
			case "reply":
				answer = order.With
			}
		}
	}
	if answer == nil {
		answer = map[string]any{"batchItemFailures": failures}
	}
	return answer, nil
}

// Writes what it saw to the file that the test reads.
func keep(event events.KafkaEvent, record events.KafkaRecord, order order) {
	headers := []map[string]string{}
	for _, header := range record.Headers {
		for name, bytes := range header {
			headers = append(headers, map[string]string{name: string(bytes)})
		}
	}
	key, err := base64.StdEncoding.DecodeString(record.Key)
	if err != nil {
		panic(err)
	}
	bytes := len(order.Pad)
	order.Pad = ""
	line, err := json.Marshal(map[string]any{
		"eventSource": event.EventSource, "bootstrapServers": event.BootstrapServers,
		"topic": record.Topic, "partition": record.Partition, "offset": record.Offset,
		"timestamp": record.Timestamp.UnixMilli(), "timestampType": record.TimestampType,
		"key": string(key), "value": order, "headers": headers, "bytes": bytes,
	})
	if err != nil {
		panic(err)
	}
	file, err := os.OpenFile(os.Getenv("SEEN"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	fmt.Fprintln(file, string(line))
}
