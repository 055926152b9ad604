package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// container returns the credentials that the platform gives to a container, nil where it gives none.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
func (c chain) container() (keySource, error) {
	address := c.env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if path := c.env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); path != "" {
		address = "http://169.254.170.2/" + strings.TrimPrefix(path, "/")
	}
	if address == "" {
		return nil, nil
	}
	u, err := url.Parse(address)
	if err != nil || !near(u) {
		return nil, errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI: give https://, or the address of this machine or of its platform")
	}
	return func(ctx context.Context) (credentials.Value, error) {
		header := http.Header{}
		token := c.env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
		if file := c.env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
			if token, err = readSecret("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file); err != nil {
				return credentials.Value{}, err
			}
		}
		if token != "" {
			header.Set("Authorization", token)
		}
		return askKeys(ctx, nearClient(c.roots, 10*time.Second), address, header)
	}, nil
}

// near reports that a secret may be sent to a service: it is encrypted, or does not leave the machine.
func near(u *url.URL) bool {
	host := u.Hostname()
	ip := net.ParseIP(host)
	switch {
	case u.Scheme == "https" && host != "", u.Scheme == "http" && (host == "localhost" || ip != nil && ip.IsLoopback()):
		return true
	}
	return u.Scheme == "http" && (host == "169.254.170.2" || host == "169.254.170.23" || host == "fd00:ec2::23")
}

// What a machine in the cloud is told is a matter of milliseconds; elsewhere nobody answers, and that is to show soon.
const (
	metadataTimeout  = time.Second
	metadataAttempts = 2
)

// machine returns the credentials of the role of this machine, a virtual one at Amazon. It speaks version 2 of the metadata
// service only, in which a request needs a token.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html
func (c chain) machine() keySource {
	base := first(c.env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"), c.profile.value("ec2_metadata_service_endpoint"))
	if base == "" {
		base = "http://169.254.169.254"
		if strings.EqualFold(first(c.env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), c.profile.value("ec2_metadata_service_endpoint_mode")), "IPv6") {
			base = "http://[fd00:ec2::254]"
		}
	}
	base = strings.TrimSuffix(base, "/") + "/latest/"
	return func(ctx context.Context) (v credentials.Value, err error) {
		client := nearClient(c.roots, metadataTimeout)
		var token []byte
		for range metadataAttempts {
			token, err = ask(ctx, client, http.MethodPut, base+"api/token", http.Header{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": {"21600"}})
			if err == nil || !isTimeout(err) {
				break
			}
		}
		if err != nil {
			return v, err
		}
		header := http.Header{"X-Aws-Ec2-Metadata-Token": {strings.TrimSpace(string(token))}}
		list, err := ask(ctx, client, http.MethodGet, base+"meta-data/iam/security-credentials/", header)
		if err != nil {
			return v, err
		}
		role, _, _ := bufio.NewReader(strings.NewReader(string(list))).ReadLine()
		if len(role) == 0 {
			return v, errors.New("it has none attached")
		}
		return askKeys(ctx, client, base+"meta-data/iam/security-credentials/"+url.PathEscape(string(role)), header)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[*url.Error](err)
	return ok && e.Timeout()
}

// askKeys asks a service for credentials in JSON.
func askKeys(ctx context.Context, client *http.Client, address string, header http.Header) (credentials.Value, error) {
	data, err := ask(ctx, client, http.MethodGet, address, header)
	if err != nil {
		return credentials.Value{}, err
	}
	var answer struct {
		Code, Message                       string
		AccessKeyId, SecretAccessKey, Token string
		Expiration                          time.Time
	}
	if json.Unmarshal(data, &answer) != nil { // whose error might show a part of a secret
		return credentials.Value{}, fmt.Errorf("the answer of %s is not the JSON that is expected", address)
	}
	if answer.Code != "" && answer.Code != "Success" {
		return credentials.Value{}, fmt.Errorf("%s: %s: %s", address, answer.Code, answer.Message)
	}
	return credentials.Value{AccessKeyID: answer.AccessKeyId, SecretAccessKey: answer.SecretAccessKey, SessionToken: answer.Token,
		Expiration: answer.Expiration, SignerType: credentials.SignatureV4}, nil
}

func ask(ctx context.Context, client *http.Client, method, address string, header http.Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}
