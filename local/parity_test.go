package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"go.yaml.in/yaml/v3"

	"github.com/osirose-new/database-service/local/grpcserver"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/services"
)

// TestParity compares the deployment with the local program. Each service of the local program needs a folder in
// functions/, a function in template.yaml, and in both gateways a route with permission to invoke the function.
func TestParity(t *testing.T) {
	t.Parallel()
	folders, mounted := functionFolders(t), mountedServices(t)
	template := readTemplate(t)

	if diff := cmp.Diff(slices.Sorted(maps.Keys(folders)), template.folders()); diff != "" {
		t.Errorf("folders in functions/ (-), CodeUri of functions in template.yaml (+):\n%s", diff)
	}
	served, problems := servedBy(folders, template)
	for _, problem := range problems {
		t.Error(problem)
	}
	if diff := cmp.Diff(mounted, slices.Sorted(maps.Keys(served))); diff != "" {
		t.Errorf("services that local mounts (-), and that functions/*/main.go serve (+):\n%s", diff)
	}
	want := map[string]string{} // function by route
	for service, function := range served {
		want["POST /twirp/"+service+"/{method}"] = function
	}
	for _, api := range apis() {
		if diff := cmp.Diff(want, template.routes(api)); diff != "" {
			t.Errorf("routes that the functions serve (-), and of %s in template.yaml (+):\n%s", api, diff)
		}
	}
	if diff := cmp.Diff(want, template.permissions()); diff != "" {
		t.Errorf("routes that the functions serve (-), and AWS::Lambda::Permission in template.yaml (+):\n%s", diff)
	}
}

// servedBy returns the function of each service. It also returns problems: a service with two main packages, with
// another function in local, or without a route in an API.
func servedBy(folders map[string][]string, template *cloudTemplate) (served map[string]string, problems []string) {
	served, first := map[string]string{}, map[string]string{}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		function := template.logicalID(folder)
		for _, service := range folders[folder] {
			if other, twice := first[service]; twice {
				problems = append(problems, fmt.Sprintf("%s is served by functions/%s and by functions/%s", service, other, folder))
				continue
			}
			first[service], served[service] = folder, function
			if local := functionOf("/twirp/" + service + "/"); local != function {
				problems = append(problems, fmt.Sprintf("%s is %s in template.yaml, and %q in functionOf of local/emulate_functions.go", service, function, local))
			}
			for _, api := range apis() {
				if _, ok := template.routes(api)["POST /twirp/"+service+"/{method}"]; !ok {
					problems = append(problems, fmt.Sprintf("%s has no route to %s in %s", service, function, api))
				}
			}
		}
	}
	return served, problems
}

// apis returns the resource types of the two gateways in the template.
func apis() []string { return []string{"AWS::Serverless::HttpApi", "AWS::Serverless::Api"} }

func TestParityProblems(t *testing.T) {
	t.Parallel()
	const users, guilds = "osirose.database.v1.UserService", "osirose.database.v1.GuildService"
	folders := map[string][]string{"user": {users}, "copy": {users}, "guild": {guilds}, "purge": nil}
	_, problems := servedBy(folders, readTemplate(t))
	want := []string{
		users + ` is (no function for functions/copy) in template.yaml, and "UserFunction" in functionOf of local/emulate_functions.go`,
		guilds + ` is (no function for functions/guild) in template.yaml, and "" in functionOf of local/emulate_functions.go`,
		guilds + " has no route to (no function for functions/guild) in AWS::Serverless::HttpApi",
		guilds + " has no route to (no function for functions/guild) in AWS::Serverless::Api",
		users + " is served by functions/copy and by functions/user",
	}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Error(diff)
	}
}

// mountedServices returns the full names of the local program's services.
func mountedServices(t *testing.T) (names []string) {
	t.Helper()
	p, err := app.Open(app.Options{Config: config.Config{DatabaseURL: "postgres://nobody.invalid/x", RedisURL: "redis://nobody.invalid"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	all := services.New(p)
	for _, s := range all.Twirp(twirp.WithServerHooks(nil)) {
		names = append(names, strings.Trim(strings.TrimPrefix(s.PathPrefix(), "/twirp/"), "/"))
	}
	slices.Sort(names)
	var byGRPC []string
	for _, s := range grpcserver.All(all.Users, all.Characters, all.Sessions, all.Staff) {
		byGRPC = append(byGRPC, s.Name())
	}
	slices.Sort(byGRPC)
	if d := cmp.Diff(names, byGRPC); d != "" {
		t.Errorf("served by Twirp and by gRPC (-Twirp +gRPC):\n%s", d)
	}
	return names
}

// functionFolders returns the folders in functions/, each with the services that its main.go serves.
func functionFolders(t *testing.T) map[string][]string {
	t.Helper()
	mains, err := filepath.Glob("../functions/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string][]string{}
	for _, file := range mains {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Base(filepath.Dir(file))
		folders[folder] = nil
		ast.Inspect(parsed, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, isPackage := s.X.(*ast.Ident)
			name, isServer := strings.CutSuffix(s.Sel.Name, "Server")
			if isPackage && from.Name == "databasev1" && isServer {
				folders[folder] = append(folders[folder], "osirose.database.v1."+strings.TrimPrefix(name, "New"))
			}
			return true
		})
	}
	return folders
}

// cloudTemplate is the part of template.yaml that the test reads. An intrinsic function is read as its argument.
type cloudTemplate struct {
	Resources map[string]struct {
		Type       string `yaml:"Type"`
		Properties struct {
			CodeURI        string `yaml:"CodeUri"`
			DefinitionBody struct {
				Paths map[string]map[string]struct {
					Integration struct{ URI string } `yaml:"x-amazon-apigateway-integration"`
				}
			} `yaml:"DefinitionBody"`
			FunctionName string `yaml:"FunctionName"`
			SourceARN    []any  `yaml:"SourceArn"`
		} `yaml:"Properties"`
	} `yaml:"Resources"`
}

func readTemplate(t *testing.T) *cloudTemplate {
	t.Helper()
	text, err := os.ReadFile("../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c cloudTemplate
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func (c *cloudTemplate) folders() (folders []string) {
	for _, r := range c.Resources {
		if r.Type == "AWS::Serverless::Function" {
			folders = append(folders, strings.TrimSuffix(strings.TrimPrefix(r.Properties.CodeURI, "functions/"), "/"))
		}
	}
	slices.Sort(folders)
	return folders
}

func (c *cloudTemplate) logicalID(folder string) string {
	for _, id := range slices.Sorted(maps.Keys(c.Resources)) {
		if r := c.Resources[id]; r.Type == "AWS::Serverless::Function" && r.Properties.CodeURI == "functions/"+folder+"/" {
			return id
		}
	}
	return "(no function for functions/" + folder + ")"
}

// routes returns the function of each route in one kind of API.
func (c *cloudTemplate) routes(kind string) map[string]string {
	routes := map[string]string{}
	for _, r := range c.Resources {
		if r.Type != kind {
			continue
		}
		for path, operations := range r.Properties.DefinitionBody.Paths {
			for method, o := range operations {
				routes[strings.ToUpper(method)+" "+path] = aliasIn(o.Integration.URI)
			}
		}
	}
	return routes
}

// permissions returns the function that each route may invoke.
func (c *cloudTemplate) permissions() map[string]string {
	allowed := map[string]string{}
	for _, r := range c.Resources {
		if r.Type != "AWS::Lambda::Permission" || len(r.Properties.SourceARN) == 0 {
			continue
		}
		source := fmt.Sprint(r.Properties.SourceARN[0])
		_, route, _ := strings.Cut(source, "/*/")
		method, path, _ := strings.Cut(route, "/")
		function, _ := strings.CutSuffix(r.Properties.FunctionName, ".Alias")
		allowed[method+" /"+strings.TrimSuffix(path, "*")+"{method}"] = function
	}
	return allowed
}

// aliasIn finds X in an address that ends with ${X.Arn}:live/invocations.
func aliasIn(uri string) string {
	_, after, _ := strings.Cut(uri, "/functions/${")
	function, ok := strings.CutSuffix(after, ".Arn}:live/invocations")
	if !ok {
		return "not to an alias: " + uri
	}
	return function
}
