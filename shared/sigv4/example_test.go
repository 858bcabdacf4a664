package sigv4_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/config"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/sigv4"
)

// The URL is the stack's output ApiUrl. The SDK finds the credentials as the AWS CLI does. Their owner needs the permission
// execute-api:Invoke: the stack's outputs ...CallerPolicyArn grant it.
func ExampleTransport() {
	ctx := context.Background()
	account, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: &sigv4.Transport{Credentials: account.Credentials, Region: account.Region}}
	users := databasev1.NewUserServiceProtobufClient("https://abcdefghij.execute-api.eu-central-1.amazonaws.com", client)
	got, err := users.GetUser(ctx, &databasev1.GetUserRequest{UserId: "42"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.User.Username)
}
