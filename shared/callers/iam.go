package callers

import "strings"

// byARN finds the caller of an event. Without CALLERS_FILE, IAM's policies alone say who may call which rpc.
func (s *snapshot) byARN(arn string) (*Principal, *Refusal) {
	if arn == "" {
		return nil, errNoIAM
	}
	if s.arns == nil {
		return &Principal{Name: ShortARN(arn), Rights: All}, nil
	}
	if p := s.arns[canonicalARN(arn)]; p != nil {
		return p, nil
	}
	return nil, errRefused.because("no caller in CALLERS_FILE has the IAM principal " + ShortARN(arn))
}

// canonicalARN returns one form for the two ARNs of a role, arn:aws:iam::1:role/path/NAME and
// arn:aws:sts::1:assumed-role/NAME/SESSION: arn:aws:sts::1:assumed-role/NAME. The second form has no path, and role names are
// unique in an account. It returns other ARNs unchanged, and "" for what is no ARN.
func canonicalARN(arn string) string {
	p := strings.SplitN(arn, ":", 6)
	if len(p) < 6 || p[0] != "arn" || p[5] == "" {
		return ""
	}
	kind, name, _ := strings.Cut(p[5], "/")
	switch {
	case p[2] == "iam" && kind == "role":
		name = name[strings.LastIndexByte(name, '/')+1:]
	case p[2] == "sts" && kind == "assumed-role":
		name, _, _ = strings.Cut(name, "/")
	default:
		return arn
	}
	return "arn:" + p[1] + ":sts::" + p[4] + ":assumed-role/" + name
}

// ShortARN names the IAM principal of an ARN for the log: user/NAME or assumed-role/NAME. It leaves out the name of the role's
// session, which often is a person's e-mail address. It returns "" if arn is no ARN.
func ShortARN(arn string) string {
	p := strings.SplitN(arn, ":", 6)
	if len(p) < 6 {
		return ""
	}
	kind, name, _ := strings.Cut(p[5], "/")
	if kind == "assumed-role" {
		name, _, _ = strings.Cut(name, "/")
	}
	if kind == "" || name == "" || strings.Contains(name, "@") {
		return kind
	}
	return kind + "/" + name
}
