package databasev1_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// A game server asks who a player is, by the token of the web application's session.
func ExampleNewUserServiceProtobufClient() {
	users := databasev1.NewUserServiceProtobufClient("http://127.0.0.1:50052", http.DefaultClient)
	got, err := users.GetUserBySession(context.Background(), &databasev1.GetUserBySessionRequest{
		Session: &databasev1.GetUserBySessionRequest_Token{Token: "TokenOfAliceIs32LettersAndDigits"},
	})
	if e, ok := errors.AsType[twirp.Error](err); ok && e.Meta("reason") == "SESSION_EXPIRED" {
		fmt.Println("sign in again")
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.User.Name, got.User.Banned) // the caller must refuse a banned user
}

// A save names the version that it is based on. If another save came first, the caller reads again.
func ExampleNewCharacterDbServiceProtobufClient() {
	ctx := context.Background()
	characters := databasev1.NewCharacterDbServiceProtobufClient("http://127.0.0.1:50052", http.DefaultClient)
	got, err := characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{UserId: "42", CharacterId: 7})
	if err != nil {
		log.Fatal(err)
	}
	money := got.Character.Money + 100
	saved, err := characters.SaveCharacter(ctx, &databasev1.SaveCharacterRequest{
		UserId: "42", CharacterId: 7, ExpectedVersion: got.Character.Version, Money: &money,
	})
	if e, ok := errors.AsType[twirp.Error](err); ok && e.Meta("reason") == "VERSION_MISMATCH" {
		fmt.Println("the version is now", e.Meta("current_version"))
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("saved as version", saved.Version)
}
