package remote

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// resolveCredentials decides which credentials are used, in the order that Config documents. Those
// that must be fetched are fetched when the first request needs them. Half a pair is an error: it
// must not become access without credentials, or with another pair's.
func resolveCredentials(cfg Config, p profile) (*credentials.Credentials, error) {
	env := environ(cfg.Getenv)
	if cfg.AccessKeyIDFile != "" || cfg.SecretAccessKeyFile != "" {
		return credentialsFromFiles(cfg)
	}
	if cfg.Profile == "" {
		creds, err := credentialsFromEnvironment(env)
		if creds != nil || err != nil {
			return creds, err
		}
		if env.get("AWS_WEB_IDENTITY_TOKEN_FILE") != "" {
			return lazy("web identity (AWS_WEB_IDENTITY_TOKEN_FILE)", webIdentity(env)), nil
		}
	}
	creds, err := credentialsFromProfile(p)
	if creds != nil || err != nil {
		return creds, err
	}
	if cfg.Profile != "" {
		return nil, fmt.Errorf("profile %q has no credentials: add aws_access_key_id and aws_secret_access_key to it in %s", p.name, p.credentials.file)
	}
	return credentialsFromMachine(env)
}

const nothingFound = "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the same with _FILE after them), or AWS_PROFILE"

func credentialsFromFiles(cfg Config) (*credentials.Credentials, error) {
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
	return credentials.NewStaticV4(id, secret, ""), nil
}

func credentialsFromEnvironment(env environ) (*credentials.Credentials, error) {
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
	return credentials.NewStaticV4(id, secret, token), nil
}

// credentialsFromProfile looks in the credentials file, then in the config file. Keys go before SSO
// and credential_process within a file, which minio-go fetches and renews.
func credentialsFromProfile(p profile) (*credentials.Credentials, error) {
	for _, s := range []section{p.credentials, p.config} {
		id, secret := s.values["aws_access_key_id"], s.values["aws_secret_access_key"]
		switch {
		case id != "" && secret != "":
			return credentials.NewStaticV4(id, secret, s.values["aws_session_token"]), nil
		case id != "" || secret != "":
			return nil, fmt.Errorf("profile %q in %s has only one of aws_access_key_id and aws_secret_access_key: give both", p.name, s.file)
		case s.values["sso_session"] != "" || s.values["sso_start_url"] != "" || s.values["credential_process"] != "":
			what := fmt.Sprintf("profile %q in %s", p.name, s.file)
			return lazy(what, &credentials.FileAWSCredentials{Filename: s.file, Profile: p.name}), nil
		}
	}
	if p.value("role_arn") != "" {
		return nil, fmt.Errorf("profile %q assumes a role (role_arn), which is not supported: give it a credential_process, such as aws configure export-credentials --format process", p.name)
	}
	return nil, nil
}

func credentialsFromMachine(env environ) (*credentials.Credentials, error) {
	if env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" || env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" {
		return lazy("container (AWS_CONTAINER_CREDENTIALS_…_URI)", container(env)), nil
	}
	if strings.EqualFold(env.get("AWS_EC2_METADATA_DISABLED"), "true") {
		return nil, errors.New(nothingFound)
	}
	return lazy("", &credentials.IAM{}), nil
}

// webIdentity and container name what minio-go reads from the process's environment first, since env
// may be another. The container's authorization token it takes from the process's alone.
func webIdentity(env environ) credentials.Provider {
	p := &credentials.IAM{Region: env.get("AWS_REGION")}
	p.EKSIdentity.TokenFile = env.get("AWS_WEB_IDENTITY_TOKEN_FILE")
	p.EKSIdentity.RoleARN = env.get("AWS_ROLE_ARN")
	p.EKSIdentity.RoleSessionName = env.get("AWS_ROLE_SESSION_NAME")
	return p
}

func container(env environ) credentials.Provider {
	p := &credentials.IAM{}
	p.Container.CredentialsRelativeURI = env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
	p.Container.CredentialsFullURI = env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	return p
}

// A fetched provider asks another for credentials, with a client of its own: the requests are not the
// store's, its clock is not theirs, and a machine that has no metadata service is found out quickly.
type fetched struct {
	credentials.Provider
	what   string // where the credentials come from; "" when nothing was configured
	client *http.Client
}

func lazy(what string, p credentials.Provider) *credentials.Credentials {
	transport := &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
	}
	return credentials.New(&fetched{p, what, &http.Client{Transport: transport, Timeout: 20 * time.Second}})
}

func (f *fetched) Retrieve() (credentials.Value, error) { return f.RetrieveWithCredContext(nil) }

func (f *fetched) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	own := &credentials.CredContext{Client: f.client}
	if cc != nil {
		own.Context = cc.Context
	}
	v, err := f.Provider.RetrieveWithCredContext(own)
	if err == nil && (v.AccessKeyID == "" || v.SecretAccessKey == "") {
		err = errors.New("there are none")
	}
	switch {
	case err == nil:
		return v, nil
	case f.what == "":
		return v, &credentialsError{what: nothingFound, cause: err}
	}
	return v, &credentialsError{what: "fetch credentials from " + f.what + ": " + err.Error(), cause: err}
}

// A credentialsError says that there are no credentials.
type credentialsError struct {
	what  string
	cause error
}

func (e *credentialsError) Error() string { return e.what }
func (e *credentialsError) Unwrap() error {
	if errors.Is(e.cause, os.ErrNotExist) {
		return nil
	}
	return e.cause
}
