package gateway

import (
	"strings"

	"github.com/osirose-new/database-service/local/emulator/template"
)

// eventV1 is the event of a REST API. A missing value is null, not absent.
type eventV1 struct {
	Resource     string              `json:"resource"`
	Path         string              `json:"path"`
	Method       string              `json:"httpMethod"`
	Headers      map[string]string   `json:"headers"`
	MultiHeaders map[string][]string `json:"multiValueHeaders"`
	Query        map[string]string   `json:"queryStringParameters"`
	MultiQuery   map[string][]string `json:"multiValueQueryStringParameters"`
	Parameters   map[string]string   `json:"pathParameters"`
	StageValues  map[string]string   `json:"stageVariables"`
	Context      contextV1           `json:"requestContext"`
	Body         *string             `json:"body"`
	Base64       bool                `json:"isBase64Encoded"`
}

type contextV1 struct {
	ResourceID   string     `json:"resourceId"`
	ResourcePath string     `json:"resourcePath"`
	Method       string     `json:"httpMethod"`
	ExtendedID   string     `json:"extendedRequestId"`
	Time         string     `json:"requestTime"`
	Path         string     `json:"path"`
	AccountID    string     `json:"accountId"`
	Protocol     string     `json:"protocol"`
	Stage        string     `json:"stage"`
	DomainPrefix string     `json:"domainPrefix"`
	TimeEpoch    int64      `json:"requestTimeEpoch"`
	RequestID    string     `json:"requestId"`
	Identity     identityV1 `json:"identity"`
	DomainName   string     `json:"domainName"`
	DeploymentID string     `json:"deploymentId"`
	APIID        string     `json:"apiId"`
}

type identityV1 struct {
	CognitoPoolID   *string `json:"cognitoIdentityPoolId"`
	AccountID       *string `json:"accountId"`
	CognitoID       *string `json:"cognitoIdentityId"`
	Caller          *string `json:"caller"`
	SourceIP        string  `json:"sourceIp"`
	PrincipalOrgID  *string `json:"principalOrgId"`
	AccessKey       *string `json:"accessKey"`
	CognitoType     *string `json:"cognitoAuthenticationType"`
	CognitoProvider *string `json:"cognitoAuthenticationProvider"`
	UserARN         *string `json:"userArn"`
	UserAgent       *string `json:"userAgent"`
	User            *string `json:"user"`
}

func (req *request) eventV1(binaryTypes []string) []byte {
	e := eventV1{
		Resource: req.route.Path, Path: req.path, Method: req.method,
		Headers: last(req.header), MultiHeaders: req.header,
		Context: contextV1{
			ResourceID: "emul00", ResourcePath: req.route.Path, Method: req.method, ExtendedID: req.extendedID, Time: req.clock(),
			Path: req.staged(req.path), AccountID: template.Account, Protocol: req.protocol, Stage: req.stage, DomainPrefix: apiID,
			TimeEpoch: req.at.UnixMilli(), RequestID: req.requestID, Identity: req.identityV1(),
			DomainName: apiID + ".execute-api." + region + ".amazonaws.com", DeploymentID: "emul00", APIID: apiID,
		},
	}
	if query := parseQuery(req.query); len(query) > 0 {
		e.Query, e.MultiQuery = last(query), query
	}
	if len(req.parameters) > 0 {
		e.Parameters = req.parameters
	}
	if len(req.body) > 0 {
		text, base64 := req.text(matches(req.header.Get("Content-Type"), binaryTypes))
		e.Body, e.Base64 = &text, base64
	}
	return encodeEvent(e)
}

func (req *request) identityV1() identityV1 {
	id := identityV1{SourceIP: req.sourceIP}
	if agent := req.header.Get("User-Agent"); agent != "" {
		id.UserAgent = &agent
	}
	if by, ok := req.signer(); ok {
		of := template.Account
		id.AccessKey, id.AccountID, id.UserARN, id.User, id.Caller = &by.key, &of, &by.arn, &by.id, &by.id
	}
	return id
}

// last returns the last value of each name, for the fields that carry one value.
func last[M ~map[string][]string](values M) map[string]string {
	m := make(map[string]string, len(values))
	for name, list := range values {
		if len(list) > 0 {
			m[name] = list[len(list)-1]
		}
	}
	return m
}

// matches reports whether the first media type of a header is one of the REST API's binary types. Only the binary type */*
// matches a missing header, and only it matches the value */*.
func matches(header string, binaryTypes []string) bool {
	t := mediaType(header)
	for _, b := range binaryTypes {
		if b = strings.ToLower(b); b == "*/*" || b == t && t != "" {
			return true
		}
	}
	return false
}
