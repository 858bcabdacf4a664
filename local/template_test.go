package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// part is a part of template.yaml. An intrinsic function is read as its argument, so !If has all its values.
type part map[string]any

// at returns what stands under the names.
func (p part) at(names ...string) any {
	var v any = p
	for _, name := range names {
		inner, _ := v.(part)
		v = inner[name]
	}
	return v
}

// texts returns all texts in v.
func texts(v any) (all []string) {
	switch v := v.(type) {
	case part:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, texts(v[name])...)
		}
	case []any:
		for _, item := range v {
			all = append(all, texts(item)...)
		}
	default:
		all = append(all, fmt.Sprint(v))
	}
	return all
}

// readDeployment returns the resources of template.yaml, its parameters and its outputs.
func readDeployment(t *testing.T) (resources map[string]part, parameters, outputs part) {
	t.Helper()
	text, err := os.ReadFile("../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Resources  map[string]part `yaml:"Resources"`
		Parameters part            `yaml:"Parameters"`
		Outputs    part            `yaml:"Outputs"`
	}
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all.Resources, all.Parameters, all.Outputs
}

// TestTemplateRoles checks that each function has its own role, which writes only the function's log and manages network
// interfaces only on behalf of Lambda.
func TestTemplateRoles(t *testing.T) {
	t.Parallel()
	resources, _, _ := readDeployment(t)
	used := map[string]string{}
	for id, r := range resources {
		if r["Type"] != "AWS::Serverless::Function" {
			continue
		}
		name := strings.TrimSuffix(id, "Function")
		role := strings.TrimSuffix(fmt.Sprint(r.at("Properties", "Role")), ".Arn")
		if other, twice := used[role]; twice {
			t.Errorf("%s and %s have the same role %s", id, other, role)
		}
		used[role] = id
		own := strings.Join(texts(resources[role].at("Properties", "Policies")), " ")
		if want := "logs Allow logs:CreateLogStream logs:PutLogEvents " + name + "Logs.Arn 2012-10-17"; !sameWords(own, want) {
			t.Errorf("%s has the rights %q, want %q", role, own, want)
		}
		shared := strings.Join(texts(resources[role].at("Properties", "ManagedPolicyArns")), " ")
		if strings.Contains(shared, "AWSLambdaENIManagementAccess") && !strings.Contains(shared, "InVpc NetworkPolicy") {
			t.Errorf("%s lets the function's code manage network interfaces: %s", role, shared)
		}
	}
	if len(used) != 5 {
		t.Errorf("the functions have the roles %v, want five", used)
	}
	purge := fmt.Sprint(resources["PurgeRole"].at("Properties", "ManagedPolicyArns"))
	if !strings.Contains(purge, "[HasPurgeSecret PurgeSecretPolicy [ReadsSecret SecretPolicy AWS::NoValue]]") {
		t.Errorf("the purge cannot have a login of its own: %s", purge)
	}
	staff := fmt.Sprint(resources["StaffRole"].at("Properties", "ManagedPolicyArns"))
	if !strings.Contains(staff, "[HasStaffSecret StaffSecretPolicy [ReadsSecret SecretPolicy AWS::NoValue]]") {
		t.Errorf("StaffService cannot have a login of its own: %s", staff)
	}
	deny := strings.Join(texts(resources["NetworkPolicy"].at("Properties", "PolicyDocument")), " ")
	if !strings.Contains(deny, "Deny") || !strings.Contains(deny, "ec2:*") || !strings.Contains(deny, ":function:*") {
		t.Errorf("NetworkPolicy denies nothing to the function's code: %s", deny)
	}
}

// sameWords compares two texts without the order of their words.
func sameWords(a, b string) bool {
	return slices.Equal(slices.Sorted(strings.FieldsSeq(a)), slices.Sorted(strings.FieldsSeq(b)))
}

// TestTemplateEgress checks that the functions reach only what the parameters name.
func TestTemplateEgress(t *testing.T) {
	t.Parallel()
	resources, _, _ := readDeployment(t)
	rules := 0
	for id, r := range resources {
		switch r["Type"] {
		case "AWS::EC2::SecurityGroup": // without a rule of its own, a group has one that reaches everything
			if got := fmt.Sprint(r.at("Properties", "SecurityGroupEgress")); !strings.Contains(got, "CidrIp:127.0.0.1/32") || strings.Count(got, "Ip:") != 1 {
				t.Errorf("%s: its own rules are %s, want one that reaches nothing", id, got)
			}
		case "AWS::EC2::SecurityGroupEgress":
			rules++
			p := r.at("Properties").(part)
			if p["IpProtocol"] != "tcp" || p["FromPort"] == nil || p["ToPort"] == nil {
				t.Errorf("%s is open to more than a port: %v", id, p)
			}
			if to := p["CidrIp"]; to != nil && to != "EgressCidr" {
				t.Errorf("%s leads to %v, want a parameter", id, to)
			}
		}
	}
	if rules != 8 {
		t.Errorf("there are %d rules, want 8", rules)
	}
}

// TestTemplateLogs checks that each log group can have a key, and stays when the stack goes.
func TestTemplateLogs(t *testing.T) {
	t.Parallel()
	resources, _, _ := readDeployment(t)
	groups := 0
	for id, r := range resources {
		if r["Type"] != "AWS::Logs::LogGroup" {
			continue
		}
		groups++
		if r["DeletionPolicy"] != "Retain" || r["UpdateReplacePolicy"] != "Retain" {
			t.Errorf("%s goes with the stack", id)
		}
		if got := texts(r.at("Properties", "KmsKeyId")); !slices.Contains(got, "LogKeyArn") {
			t.Errorf("%s has the key %v, want LogKeyArn", id, got)
		}
	}
	if groups != 6 {
		t.Errorf("there are %d log groups, want 6", groups)
	}
}

// TestTemplateEnvironment checks which function gets which setting of the callers, and the web application's secret.
func TestTemplateEnvironment(t *testing.T) {
	t.Parallel()
	resources, parameters, _ := readDeployment(t)
	want := map[string][]string{
		"REQUIRE_IDENTITY": {"CharacterFunction", "SessionFunction", "StaffFunction", "UserFunction"},
		"CALLERS_FILE":     {"CharacterFunction", "SessionFunction", "StaffFunction", "UserFunction"},
		// They verify the signature of a cookie; the others see no session.
		"BETTER_AUTH_SECRET": {"SessionFunction", "UserFunction"}, "BETTER_AUTH_SECRETS": {"SessionFunction", "UserFunction"},
	}
	got := map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(resources)) {
		variables, _ := resources[id].at("Properties", "Environment", "Variables").(part)
		for name := range variables {
			if want[name] != nil {
				got[name] = append(got[name], id)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("functions with these variables (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{"RequireIdentity": "true", "HasCallers": "false"} {
		if got := parameters.at(name, "Default"); got != want {
			t.Errorf("the default of %s is %v, want %q", name, got, want)
		}
	}
}

// calledBy returns the rpcs that a policy for callers names.
func calledBy(policy part) (rpcs []string) {
	for _, text := range texts(policy.at("Properties", "PolicyDocument")) {
		if _, rpc, ok := strings.Cut(text, "${Api}/*/POST/twirp/"); ok {
			rpcs = append(rpcs, rpc)
		}
	}
	return rpcs
}

// wantRow checks that functions/README.md has a row with the rpcs of a policy.
func wantRow(t *testing.T, policy string, rpcs []string) {
	t.Helper()
	_, row, _ := strings.Cut(functionsReadme(t), "\n| `"+policy+"` | ")
	row, _, _ = strings.Cut(row, " |")
	var methods []string
	for _, rpc := range rpcs {
		_, method, _ := strings.Cut(rpc, "/")
		methods = append(methods, method)
	}
	if !sameWords(strings.NewReplacer(",", " ", ";", " ").Replace(row), strings.Join(methods, " ")) {
		t.Errorf("functions/README.md says that %s allows %q, but it allows %v", policy, row, methods)
	}
}

func functionsReadme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../functions/README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTemplateParameters checks that each parameter is in one of the groups that the console shows, and in functions/README.md.
func TestTemplateParameters(t *testing.T) {
	t.Parallel()
	_, parameters, _ := readDeployment(t)
	var metadata struct {
		Metadata struct {
			Interface struct {
				Groups []struct {
					Parameters []string `yaml:"Parameters"`
				} `yaml:"ParameterGroups"`
			} `yaml:"AWS::CloudFormation::Interface"`
		} `yaml:"Metadata"`
	}
	text, err := os.ReadFile("../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &metadata); err != nil {
		t.Fatal(err)
	}
	var grouped []string
	for _, g := range metadata.Metadata.Interface.Groups {
		grouped = append(grouped, g.Parameters...)
	}
	slices.Sort(grouped)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(parameters)), grouped); diff != "" {
		t.Errorf("parameters (-), and those in ParameterGroups (+):\n%s", diff)
	}
	_, table, _ := strings.Cut(functionsReadme(t), "\n## Parameters\n")
	table, _, _ = strings.Cut(table, "\n\nThe parameters become")
	for name := range parameters {
		if !strings.Contains(table, "`"+name+"`") {
			t.Errorf("the table in functions/README.md lacks the parameter %s", name)
		}
	}
}

// TestTemplateCallers checks that the policies for callers name rpcs of the contract, each without a wildcard, that an rpc is
// in one of them, and that no output leads around the API.
func TestTemplateCallers(t *testing.T) {
	t.Parallel()
	resources, _, outputs := readDeployment(t)
	var want []string
	for _, service := range databaseServices(t) {
		for i := range service.Methods().Len() {
			want = append(want, string(service.FullName())+"/"+string(service.Methods().Get(i).Name()))
		}
	}
	slices.Sort(want)
	var got []string
	policies := 0
	for id, r := range resources {
		if !strings.HasSuffix(id, "CallerPolicy") {
			continue
		}
		policies++
		rpcs := calledBy(r)
		wantRow(t, id, rpcs)
		got = append(got, rpcs...)
		if got := outputs.at(id+"Arn", "Value"); got != id {
			t.Errorf("the output %sArn is %v", id, got)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" || policies != 4 {
		t.Errorf("rpcs of the contract (-), and of the %d policies for callers (+):\n%s", policies, diff)
	}
	for _, text := range texts(outputs) {
		if strings.Contains(text, "Function") {
			t.Errorf("an output names a function: %s", text)
		}
	}
}
