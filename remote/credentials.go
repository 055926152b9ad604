package remote

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// resolveCredentials decides which credentials are used, in the order that Config documents. Those
// that must be fetched are fetched when the first request needs them. Half a pair is an error: it
// must not become access without credentials, or with another pair's.
func resolveCredentials(cfg Config, set settings) (*credentials.Credentials, error) {
	c := chain{env: environ(cfg.Getenv), settings: set}
	where, from, err := c.resolve(cfg)
	if err != nil {
		return nil, err
	}
	return credentials.New(&fetched{from: from, where: where}), nil
}

// A chain is the places that may have credentials.
type chain struct {
	env environ
	settings
}

// resolve returns the first place that has any, and what errors call it.
func (c chain) resolve(cfg Config) (where string, from keySource, err error) {
	if cfg.AccessKeyIDFile != "" || cfg.SecretAccessKeyFile != "" {
		from, err := fromFiles(cfg)
		return "files", from, err
	}
	if cfg.Profile == "" {
		from, err := fromEnvironment(c.env)
		if from != nil || err != nil {
			return "environment", from, err
		}
		if file := c.env.get("AWS_WEB_IDENTITY_TOKEN_FILE"); file != "" {
			from, err := c.webIdentity(file, c.env.get("AWS_ROLE_ARN"), c.env.get("AWS_ROLE_SESSION_NAME"))
			return "web identity (AWS_WEB_IDENTITY_TOKEN_FILE)", from, err
		}
	}
	p := c.profile
	where = fmt.Sprintf("profile %q", p.name)
	if from, err = c.fromProfile(p, nil); from != nil || err != nil {
		return where, from, err
	}
	if cfg.Profile != "" {
		return "", nil, fmt.Errorf("profile %q has no credentials: add aws_access_key_id and aws_secret_access_key to it in %s", p.name, p.credentials.file)
	}
	if from, err = c.container(); from != nil || err != nil {
		return "container (AWS_CONTAINER_CREDENTIALS_…_URI)", from, err
	}
	if strings.EqualFold(c.env.get("AWS_EC2_METADATA_DISABLED"), "true") {
		return "", nil, errors.New(nothingFound)
	}
	return "", c.machine(), nil
}

const nothingFound = "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the same with _FILE after them), or AWS_PROFILE"

func fromFiles(cfg Config) (keySource, error) {
	if cfg.AccessKeyIDFile == "" || cfg.SecretAccessKeyFile == "" {
		return nil, errors.New("a file is named for one half of the key pair only: name both, access_key_id_file and secret_access_key_file")
	}
	id, err := readSecret("access_key_id_file", cfg.AccessKeyIDFile)
	if err != nil {
		return nil, err
	}
	secret, err := readSecret("secret_access_key_file", cfg.SecretAccessKeyFile)
	if err != nil {
		return nil, err
	}
	return fixed(id, secret, ""), nil
}

func fromEnvironment(env environ) (keySource, error) {
	var value [3]string
	for i, name := range [...]string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		var err error
		if value[i], err = env.secret(name); err != nil {
			return nil, err
		}
	}
	id, secret, token := value[0], value[1], value[2]
	switch {
	case id == "" && secret == "":
		return nil, nil
	case secret == "":
		return nil, errors.New("AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not: set both or neither")
	case id == "":
		return nil, errors.New("AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not: set both or neither")
	}
	return fixed(id, secret, token), nil
}

// fromProfile returns what a profile says of credentials, nil if it says nothing. via is the profiles that led to it.
func (c chain) fromProfile(p profile, via []string) (keySource, error) {
	if p.value("role_arn") != "" {
		return c.role(p, append(via, p.name))
	}
	return c.ownOf(p)
}

// ownOf returns the credentials of the profile itself, without the role that it may assume. The credentials file goes before the config
// file, and within a file keys before SSO before a program.
func (c chain) ownOf(p profile) (keySource, error) {
	for _, s := range []section{p.credentials, p.config} {
		id, secret := s.values["aws_access_key_id"], s.values["aws_secret_access_key"]
		switch {
		case id != "" && secret != "":
			return fixed(id, secret, s.values["aws_session_token"]), nil
		case id != "" || secret != "":
			return nil, fmt.Errorf("profile %q in %s has only one of aws_access_key_id and aws_secret_access_key: give both", p.name, s.file)
		case s.values["sso_session"] != "" || s.values["sso_start_url"] != "":
			return c.sso(s.file, p.name), nil
		case s.values["credential_process"] != "":
			return program(s.values["credential_process"]), nil
		}
	}
	return nil, nil
}

// role returns the credentials of a role that is assumed with those of another profile, of the environment, of the machine, or with a
// token.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
func (c chain) role(p profile, via []string) (from keySource, err error) {
	other, place, token := p.value("source_profile"), p.value("credential_source"), p.value("web_identity_token_file")
	switch {
	case token != "":
		return c.webIdentity(token, p.value("role_arn"), p.value("role_session_name"))
	case p.value("mfa_serial") != "":
		return nil, fmt.Errorf("profile %q wants a code from an MFA device (mfa_serial), for which nobody is there to be asked: give it a credential_process", p.name)
	case other == p.name:
		from, err = c.ownOf(p)
	case slices.Contains(via, other):
		return nil, fmt.Errorf("the source_profile of profile %q leads back to it: %s", other, strings.Join(append(via, other), ", "))
	case other != "":
		var q profile
		if q, err = loadProfile(c.env, other); err == nil {
			from, err = c.fromProfile(q, via)
		}
	case place == "Environment":
		from, err = fromEnvironment(c.env)
	case place == "EcsContainer":
		from, err = c.container()
	case place == "Ec2InstanceMetadata":
		from = c.machine()
	default:
		return nil, fmt.Errorf("profile %q assumes a role (role_arn), but not with which credentials: add source_profile, or credential_source as Environment, Ec2InstanceMetadata or EcsContainer", p.name)
	}
	if err != nil {
		return nil, err
	}
	if from == nil {
		return nil, fmt.Errorf("profile %q assumes a role (role_arn), but there are no credentials in what it names for that: %s", p.name, first(other, place))
	}
	return c.assume(p, from)
}
