// The peer of the load test: the Benthos engine with an output to Kafka (franz-go) and a cache in Redis (SET NX PX).
//
// In this folder: go build -o ../../.cache/peer . && cd ../.. && npm run load -- --peer .cache/peer
package main

import (
	"context"
	"errors"
	"log"
	"time"

	"github.com/redis/go-redis/v9"
	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
)

type kafkaOutput struct {
	brokers []string
	topic   string
	key     *service.InterpolatedString
	client  *kgo.Client
}

func newKafkaOutput(config *service.ParsedConfig, _ *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
	output := &kafkaOutput{}
	var policy service.BatchPolicy
	var inFlight int
	var errs [5]error
	output.brokers, errs[0] = config.FieldStringList("brokers")
	output.topic, errs[1] = config.FieldString("topic")
	output.key, errs[2] = config.FieldInterpolatedString("key")
	policy, errs[3] = config.FieldBatchPolicy("batching")
	inFlight, errs[4] = config.FieldMaxInFlight()
	return output, policy, inFlight, errors.Join(errs[:]...)
}

// Without idempotence, which is the peer's cheaper setting.
func (o *kafkaOutput) Connect(context.Context) (err error) {
	o.client, err = kgo.NewClient(
		kgo.SeedBrokers(o.brokers...),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.DisableIdempotentWrite(),
		kgo.MaxProduceRequestsInflightPerBroker(8),
	)
	return err
}

func (o *kafkaOutput) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	records := make([]*kgo.Record, len(batch))
	for i, message := range batch {
		value, err := message.AsBytes()
		if err != nil {
			return err
		}
		key, err := batch.TryInterpolatedString(i, o.key)
		if err != nil {
			return err
		}
		records[i] = &kgo.Record{Topic: o.topic, Key: []byte(key), Value: value}
	}
	return o.client.ProduceSync(ctx, records...).FirstErr()
}

func (o *kafkaOutput) Close(context.Context) error {
	o.client.Close()
	return nil
}

type redisCache struct {
	client *redis.Client
	life   time.Duration
}

func newRedisCache(config *service.ParsedConfig, _ *service.Resources) (service.Cache, error) {
	address, err := config.FieldString("address")
	if err != nil {
		return nil, err
	}
	life, err := config.FieldDuration("life")
	return &redisCache{redis.NewClient(&redis.Options{Addr: address, PoolSize: 32}), life}, err
}

func (c *redisCache) Add(ctx context.Context, key string, value []byte, _ *time.Duration) error {
	isNew, err := c.client.SetNX(ctx, key, value, c.life).Result()
	if err == nil && !isNew {
		return service.ErrKeyAlreadyExists
	}
	return err
}

func (c *redisCache) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := c.client.Get(ctx, key).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, service.ErrKeyNotFound
	}
	return value, err
}

func (c *redisCache) Set(ctx context.Context, key string, value []byte, _ *time.Duration) error {
	return c.client.Set(ctx, key, value, c.life).Err()
}

func (c *redisCache) Delete(ctx context.Context, key string) error {
	return c.client.Del(ctx, key).Err()
}

func (c *redisCache) Close(context.Context) error {
	return c.client.Close()
}

func main() {
	output := service.NewConfigSpec().Fields(
		service.NewStringListField("brokers"),
		service.NewStringField("topic"),
		service.NewInterpolatedStringField("key"),
		service.NewOutputMaxInFlightField().Default(128),
		service.NewBatchPolicyField("batching"),
	)
	cache := service.NewConfigSpec().Fields(service.NewStringField("address"), service.NewDurationField("life"))
	err := errors.Join(
		service.RegisterBatchOutput("kafka_acks_all", output, newKafkaOutput),
		service.RegisterCache("redis_once", cache, newRedisCache),
	)
	if err != nil {
		log.Fatal(err)
	}
	service.RunCLI(context.Background())
}
