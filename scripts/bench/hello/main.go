// Command hello is the smallest Lambda function in Go. The part cold of bench compares the starts of the functions with it.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(context.Context) (string, error) { return "hello", nil })
}
