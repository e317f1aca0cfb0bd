// Command xds-client is a gRPC client in Go as anybody would write it, to try what its library does
// with what the control plane tells it: echo 100 | xds-client xds:///NAME.NAMESPACE
//
// A line on standard input is a number of calls and, where there is one, the prefix key that they
// carry. Each is answered with a line of JSON: how often each answer and each error came.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	_ "google.golang.org/grpc/xds" // knows xds:/// targets
)

const (
	method    = "/llm.v1.Inference/Generate"
	prefixKey = "llm-prefix-key"
	deadline  = 15 * time.Second
)

// outcome is what became of some calls; the detail is that of the last error.
type outcome struct {
	Answers map[string]int `json:"answers"`
	Errors  map[string]int `json:"errors"`
	Detail  string         `json:"detail"`
}

// plain passes bytes through, so that no generated code is needed.
type plain struct{}

func (plain) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (plain) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func (plain) Name() string { return "proto" }

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: xds-client TARGET")
	}
	channel, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(plain{})))
	if err != nil {
		log.Fatal(err)
	}
	defer channel.Close()
	told := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var number int
		var prefix string
		if read, err := fmt.Sscan(lines.Text(), &number, &prefix); read == 0 {
			log.Fatalf("%q: %v", lines.Text(), err)
		}
		if err := told.Encode(calls(channel, number, prefix)); err != nil {
			log.Fatal(err)
		}
	}
}

// calls are made one after the other.
func calls(channel *grpc.ClientConn, number int, prefix string) outcome {
	found := outcome{Answers: map[string]int{}, Errors: map[string]int{}}
	for range number {
		answer, err := call(channel, prefix)
		if err != nil {
			found.Errors[status.Code(err).String()]++
			found.Detail = status.Convert(err).Message()
			continue
		}
		found.Answers[string(answer)]++
	}
	return found
}

func call(channel *grpc.ClientConn, prefix string) ([]byte, error) {
	within, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if prefix != "" {
		within = metadata.AppendToOutgoingContext(within, prefixKey, prefix)
	}
	var answer []byte
	err := channel.Invoke(within, method, []byte{}, &answer)
	return answer, err
}
