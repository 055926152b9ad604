package remote

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// sessionName names sessions of roles in the logs of the service when nothing else does.
const sessionName = "lifeboat"

// maxAnswer bounds the answer of a service that gives credentials.
const maxAnswer = 256 << 10

// sts returns where the Security Token Service is. AWS_ENDPOINT_URL is for every service, as the AWS tools have it.
func (c chain) sts() string {
	fallback := "https://sts." + c.region + ".amazonaws.com"
	if strings.HasPrefix(c.region, "cn-") {
		fallback += ".cn"
	}
	return cmp.Or(c.profile.endpoint(c.env, "sts"), fallback)
}

// assume returns the credentials of the role of a profile, which those of from may assume.
func (c chain) assume(p profile, from keySource) (keySource, error) {
	duration := 0
	if s := p.value("duration_seconds"); s != "" {
		var err error
		if duration, err = strconv.Atoi(s); err != nil || duration <= 0 {
			return nil, fmt.Errorf("profile %q: duration_seconds is %.20q: want a number of seconds", p.name, s)
		}
	}
	return func(ctx context.Context) (credentials.Value, error) {
		v, err := from(ctx)
		if err != nil {
			return v, err
		}
		if v.AccessKeyID == "" || v.SecretAccessKey == "" { // minio-go would do without
			return v, errors.New("there are no credentials to assume the role with")
		}
		role := &credentials.STSAssumeRole{STSEndpoint: c.sts(), Options: credentials.STSAssumeRoleOptions{
			AccessKey: v.AccessKeyID, SecretKey: v.SecretAccessKey, SessionToken: v.SessionToken,
			Location: c.region, DurationSeconds: duration,
			RoleARN: p.value("role_arn"), RoleSessionName: cmp.Or(p.value("role_session_name"), sessionName), ExternalID: p.value("external_id"),
		}}
		v, err = role.RetrieveWithCredContext(&credentials.CredContext{Client: webClient(c.roots), Context: ctx})
		if r, ok := errors.AsType[credentials.ErrorResponse](err); ok {
			err = fmt.Errorf("%s: %s", r.STSError.Code, r.STSError.Message)
		}
		if err != nil {
			err = fmt.Errorf("assume %s at %s: %w", p.value("role_arn"), c.sts(), err)
		}
		return v, err
	}, nil
}

// webIdentity exchanges a token, which a platform writes into a file and renews there, for credentials of a role.
func (c chain) webIdentity(file, role, session string) (keySource, error) {
	if role == "" {
		return nil, errors.New("AWS_WEB_IDENTITY_TOKEN_FILE is set, AWS_ROLE_ARN is not: set both or neither")
	}
	return func(ctx context.Context) (v credentials.Value, err error) {
		token, err := os.ReadFile(file)
		if err != nil {
			return v, fmt.Errorf("read the token: %w", err)
		}
		form := url.Values{
			"Action": {"AssumeRoleWithWebIdentity"}, "Version": {credentials.STSVersion},
			"RoleArn": {role}, "RoleSessionName": {cmp.Or(session, sessionName)}, "WebIdentityToken": {strings.TrimSpace(string(token))},
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.sts(), strings.NewReader(form.Encode()))
		if err != nil {
			return v, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := webClient(c.roots).Do(req)
		if err != nil {
			return v, err
		}
		defer resp.Body.Close()
		var answer struct {
			Result struct {
				Credentials struct {
					AccessKeyId, SecretAccessKey, SessionToken string
					Expiration                                 time.Time
				}
			} `xml:"AssumeRoleWithWebIdentityResult"`
			Error struct{ Code, Message string }
		}
		err = xml.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer)
		switch {
		case answer.Error.Code != "":
			return v, fmt.Errorf("%s at %s: %s: %s", role, c.sts(), answer.Error.Code, answer.Error.Message)
		case err != nil || resp.StatusCode != http.StatusOK:
			return v, fmt.Errorf("%s is not a Security Token Service: it answers %s", c.sts(), resp.Status)
		}
		k := answer.Result.Credentials
		return credentials.Value{AccessKeyID: k.AccessKeyId, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken,
			Expiration: k.Expiration, SignerType: credentials.SignatureV4}, nil
	}, nil
}

// sso exchanges the token that "aws sso login" has left for credentials. It does not renew the token.
func (c chain) sso(file, name string) keySource {
	return func(ctx context.Context) (credentials.Value, error) {
		p := &credentials.FileAWSCredentials{Filename: file, Profile: name}
		return p.RetrieveWithCredContext(&credentials.CredContext{Client: webClient(c.roots), Context: ctx})
	}
}
