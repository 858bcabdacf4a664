package template_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/local/emulator/template"
	"github.com/osirose-new/database-service/shared/testenv"
)

// parse reads a template with the given text.
func parse(t *testing.T, text string, parameters map[string]string) (*template.Template, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return template.Read(file, "eu-west-1", parameters)
}

func mustParse(t *testing.T, text string, parameters map[string]string) *template.Template {
	t.Helper()
	out, err := parse(t, text, parameters)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const intrinsicsTemplate = `
Parameters:
  Stage: {Type: String, Default: test}
  Size: {Type: Number, Default: 3}
  Zones: {Type: CommaDelimitedList, Default: "a, b"}
  Needed: {Type: String}
  Stored: {Type: "AWS::SSM::Parameter::Value<String>", Default: /path}
Mappings:
  Sizes: {test: {memory: "512"}, live: {memory: "1024"}}
Conditions:
  IsTest: !Equals [!Ref Stage, test]
  IsLive: {"Fn::Not": [{"Condition": "IsTest"}]}
  Both: !And [!Condition IsTest, !Condition IsLive]
  Either: {"Fn::Or": [!Condition IsTest, !Condition IsLive]}
  IsThree: !Equals [!Ref Size, 3]
  Unknown: !Equals [!GetAtt Topic.Name, !GetAtt Topic.Name]
Globals:
  Function:
    Timeout: 7
    MemorySize: !FindInMap [Sizes, !Ref Stage, memory]
    Environment: {Variables: {GLOBAL: "yes", SHARED: global}}
Resources:
  Topic: {Type: AWS::SNS::Topic}
  FirstFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/first/
      FunctionName: !Sub "${Stage}-first"
      Environment:
        Variables:
          SHARED: own
          SUB: !Sub "${Stage}/${AWS::Region}/${!Literal}/${FirstFunction}"
          SUB_VARS: {"Fn::Sub": ["${Zone}-${Stage}", {Zone: !Select [1, !Ref Zones]}]}
          JOIN: !Join ["+", [!Ref Stage, {"Ref": "Size"}]]
          SPLIT: {"Fn::Select": ["1", {"Fn::Split": ["/", "x/y/z"]}]}
          IF: !If [Either, !If [Both, both, "one"], none]
          LONG_IF: {"Fn::If": ["IsThree", "three", "other"]}
          ARN: !GetAtt FirstFunction.Arn
          ALIAS: !Ref FirstFunction.Alias
          BOOLEAN: true
          OCTAL: 0o17
          EMPTY: ""
          NOT_THERE: !Ref AWS::NoValue
          UNKNOWN: !GetAtt [Topic, TopicName]
          UNKNOWN_SUB: !Sub "a-${Topic.Name}"
          UNKNOWN_PARAMETER: !Ref Needed
          UNKNOWN_STORED: !Ref Stored
          SECRET: "{{resolve:secretsmanager:x}}"
          SECRET_SUB: !Sub "{{resolve:secretsmanager:${Stage}}}"
          DECIDED: !If [Unknown, "yes", "no"]
  LiveFunction:
    Type: AWS::Serverless::Function
    Condition: IsLive
    Properties: {CodeUri: functions/live/}
  PlainFunction:
    Type: AWS::Lambda::Function
    Properties: {Timeout: !Ref Size, MemorySize: 128, ReservedConcurrentExecutions: 2, EventInvokeConfig: {MaximumRetryAttempts: 0}}
`

func TestIntrinsics(t *testing.T) {
	t.Parallel()
	out := mustParse(t, intrinsicsTemplate, nil)
	first, plain := out.Functions[0], out.Functions[1]
	want := map[string]string{
		"GLOBAL": "yes", "SHARED": "own", "SUB": "test/eu-west-1/${Literal}/FirstFunction", "SUB_VARS": "b-test", "JOIN": "test+3",
		"SPLIT": "y", "IF": "one", "LONG_IF": "three", "ARN": "arn:aws:lambda:eu-west-1:123456789012:function:FirstFunction",
		"ALIAS": "arn:aws:lambda:eu-west-1:123456789012:function:FirstFunction:live", "BOOLEAN": "true", "OCTAL": "0o17", "EMPTY": "",
		"DECIDED": "no",
	}
	if diff := cmp.Diff(want, first.Variables); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"UNKNOWN", "UNKNOWN_SUB", "NOT_THERE", "SECRET", "GLOBAL"} {
		if !first.Declared[name] {
			t.Errorf("%s is not declared", name)
		}
	}
	if first.Name != "test-first" || first.Folder != "first" || first.Source != "functions/first" || first.Timeout != 7*time.Second || first.Memory != 512 {
		t.Errorf("got %+v", first)
	}
	if plain.ID != "PlainFunction" || plain.Timeout != 3*time.Second || plain.Memory != 128 || plain.Reserved != 2 || plain.Retries != 0 || first.Retries != 2 || len(out.Functions) != 2 {
		t.Errorf("got %+v of %d", plain, len(out.Functions))
	}
	live := mustParse(t, intrinsicsTemplate, map[string]string{"Stage": "live", "Needed": "here", "Size": "9"})
	if f := live.Functions[0]; len(live.Functions) != 3 || f.Memory != 1024 || f.Variables["LONG_IF"] != "other" || f.Variables["UNKNOWN_PARAMETER"] != "here" {
		t.Errorf("with parameters: got %+v of %d", f, len(live.Functions))
	}
}

const apiTemplate = `
Resources:
  FirstFunction:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        All: {Type: HttpApi, Properties: {Path: "/first/{proxy+}", Method: ANY}}
        Rest: {Type: Api, Properties: {Path: /first, Method: get}}
        Rest2: {Type: Schedule, Properties: {Schedule: rate(5 minutes)}}
  SecondFunction: {Type: AWS::Serverless::Function, Condition: Never}
  Api:
    Type: AWS::Serverless::Api
    Condition: Never
    Properties:
      StageName: beta
      BinaryMediaTypes: [application~1protobuf]
      GatewayResponses:
        THROTTLED:
          StatusCode: 429
          ResponseParameters: {Headers: {X-Why: "'slow'"}}
          ResponseTemplates: {application/json: '{"a":1}'}
      DefinitionBody:
        paths:
          /x/{id}:
            x-amazon-apigateway-any-method:
              x-amazon-apigateway-integration: {uri: !Sub "arn:aws:apigateway:x:lambda:path/functions/${FirstFunction.Arn}/invocations"}
            get:
              x-amazon-apigateway-integration: {uri: !Sub ["a/${To}/b", {To: !Ref SecondFunction.Alias}]}
Conditions: {Never: !Equals [a, b]}
`

func TestTemplateRoutes(t *testing.T) {
	t.Parallel()
	out := mustParse(t, apiTemplate, nil)
	want := []template.Route{
		{template.HTTPAPI, "ANY", "/first/{proxy+}", "FirstFunction"}, {template.RESTAPI, "GET", "/first", "FirstFunction"}, {template.RESTAPI, "ANY", "/x/{id}", "FirstFunction"},
	}
	if diff := cmp.Diff(want, out.Routes); diff != "" {
		t.Error(diff)
	}
	responses := map[string]template.Response{
		"THROTTLED": {Status: 429, Headers: map[string]string{"X-Why": "slow", "Content-Type": "application/json"}, Body: `{"a":1}`},
	}
	if diff := cmp.Diff(responses, out.Responses); diff != "" {
		t.Error(diff)
	}
	if out.IAM[template.RESTAPI] {
		t.Error("an API without an authorizer has one")
	}
	if out.Stages[template.RESTAPI] != "beta" || !slices.Equal(out.BinaryTypes, []string{"application~1protobuf"}) {
		t.Errorf("got stage %v, binary types %v", out.Stages, out.BinaryTypes)
	}
}

func TestTemplateErrors(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Emulator: the template")
	add := func(err error) {
		t.Helper()
		if err == nil {
			t.Fatal("no error")
		}
		sentences.Add(regexp.MustCompile(`/\S*/`).ReplaceAllString(err.Error(), "DIR/"))
	}
	const function = "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      "
	for text, want := range map[string]string{
		"Resources: [":                     "template.yaml: line 1",
		"a: b\n\tc: d":                     "template.yaml: line 2",
		"[]":                               "is no template",
		"Resources: {}":                    "has no function",
		function + "Timeout: soon":         "template.yaml:5: Timeout is not a number from 1 to 900",
		function + "Timeout: 1000":         "template.yaml:5: Timeout",
		function + "MemorySize: 1":         "template.yaml:5: MemorySize",
		function + "CodeUri: !Reff x":      `template.yaml:5: there is no intrinsic function "Reff"`,
		function + "CodeUri: !Ref Missing": `template.yaml:5: there is no parameter or resource "Missing"`,
		function + "CodeUri: !Sub a${No}":  `template.yaml:5: there is no parameter or resource "No"`,
		function + "CodeUri: !If [A, b]":   "template.yaml:5: If takes a list",
		function + "CodeUri: !If [A, b, c]\nConditions: {A: !Not [!Condition A]}": "refers to itself",
		function + "CodeUri: !Select [3, [a]]":                                    "template.yaml:5: Select finds no element 3",
		function + "CodeUri: !FindInMap [a, b, c]":                                `template.yaml:5: Mappings has no "a"`,
		function + "CodeUri: !Sub [a, b, c]":                                      "template.yaml:5: Sub takes a text, or a list",
		function + "CodeUri: !Sub {a: b}":                                         "template.yaml:5: Sub takes a text",
		function + "CodeUri: !If [A, b, c]\nConditions: {A: !And a}":              "And, Or and Not take a list",
		function + "CodeUri: !Join a":                                             "template.yaml:5: this function takes a list of 2",
		function + `CodeUri: x
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      DefinitionBody: {paths: {/x: {get: {x-amazon-apigateway-integration: {uri: elsewhere}}}}}`: "template.yaml:9: the integration of GET /x names no function",
	} {
		_, err := parse(t, text, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", text, err, want)
			continue
		}
		add(err)
	}
	_, err := parse(t, function+"Timeout: 1", map[string]string{"Nothing": "1"})
	add(err)
	_, err = template.Read(filepath.Join(t.TempDir(), "template.yaml"), "eu-west-1", nil)
	add(err)
	add(mustParse(t, function+"CodeUri: nowhere", nil).CheckSources(filepath.Join(t.TempDir(), "template.yaml")))
}

// In the deployment's template every service has a route in both APIs, and purge has none.
func TestDeploymentTemplate(t *testing.T) {
	t.Parallel()
	out, err := template.Read("../../../template.yaml", "us-east-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, f := range out.Functions {
		ids = append(ids, f.ID+" "+f.Source)
		if f.Timeout == 0 || f.Memory == 0 || !f.Declared["DATABASE_URL"] || !f.Declared["REDIS_URL"] {
			t.Errorf("got %+v", f)
		}
	}
	want := []string{"CharacterFunction functions/character", "PurgeFunction functions/purge", "SessionFunction functions/session", "StaffFunction functions/staff", "UserFunction functions/user"}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Error(diff)
	}
	routes := map[string]int{}
	for _, r := range out.Routes {
		routes[r.Method+" "+r.Path+" "+r.Function]++
	}
	wantRoutes := map[string]int{
		"POST /twirp/osirose.database.v1.CharacterDbService/{method} CharacterFunction": 2,
		"POST /twirp/osirose.database.v1.SessionService/{method} SessionFunction":       2,
		"POST /twirp/osirose.database.v1.StaffService/{method} StaffFunction":           2,
		"POST /twirp/osirose.database.v1.UserService/{method} UserFunction":             2,
	}
	if !maps.Equal(routes, wantRoutes) {
		t.Errorf("got %v, want each behind two gateways", routes)
	}
	if !out.IAM[template.HTTPAPI] || !out.IAM[template.RESTAPI] {
		t.Errorf("an API admits unsigned requests: %v", out.IAM)
	}
	if out.Stages[template.RESTAPI] == "" || !slices.Contains(out.BinaryTypes, "application~1protobuf") || len(out.Responses) == 0 {
		t.Errorf("got %v, %v, %v", out.Stages, out.BinaryTypes, out.Responses)
	}
}
