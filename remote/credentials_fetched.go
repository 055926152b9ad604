package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// A keySource gives credentials. Those with an Expiration are asked for again before it.
type keySource func(context.Context) (credentials.Value, error)

// fixed is credentials that are known.
func fixed(id, secret, token string) keySource {
	v := credentials.Value{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, SignerType: credentials.SignatureV4}
	return func(context.Context) (credentials.Value, error) { return v, nil }
}

const (
	longestFetch = time.Minute      // of credentials; a program may ask a person
	retryRenewal = 30 * time.Second // after one that failed, while the old credentials still hold
)

// fetched keeps what a source gives, and renews it when a fifth of its life is left. That a renewal fails is no failure while the
// credentials still hold. It implements credentials.Provider; credentials.Credentials makes one call at a time.
type fetched struct {
	from  keySource
	where string // they come from; "" when nothing was configured

	have  credentials.Value
	renew time.Time // zero: never
	none  error     // what is found out once about a machine that has no role
}

func (f *fetched) Retrieve() (credentials.Value, error) { return f.RetrieveWithCredContext(nil) }

func (f *fetched) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	if f.none != nil {
		return credentials.Value{}, f.none
	}
	ctx := context.Background()
	if cc != nil && cc.Context != nil {
		ctx = cc.Context
	}
	ctx, cancel := context.WithTimeout(ctx, longestFetch)
	defer cancel()
	v, err := f.from(ctx)
	if err == nil && (v.AccessKeyID == "" || v.SecretAccessKey == "") {
		err = errors.New("there are none in the answer")
	}
	now := time.Now()
	switch {
	case err == nil:
		f.have, f.renew = v, time.Time{}
		if !v.Expiration.IsZero() {
			f.renew = now.Add(v.Expiration.Sub(now) * 4 / 5)
		}
		return v, nil
	case now.Before(f.have.Expiration):
		f.renew = now.Add(min(retryRenewal, f.have.Expiration.Sub(now)))
		return f.have, nil
	case f.where == "":
		err = &credentialsError{what: nothingFound + "; nor has this machine a role: " + clean(err.Error()), cause: err}
		if f.have.AccessKeyID == "" {
			f.none = err
		}
		return v, err
	}
	return v, &credentialsError{what: "fetch credentials from " + f.where + ": " + clean(err.Error()), cause: err}
}

// IsExpired implements credentials.Provider.
func (f *fetched) IsExpired() bool { return !f.renew.IsZero() && !time.Now().Before(f.renew) }

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

// webClient is for services that give credentials. Its requests are not the store's, and the clock of a service is not the store's.
func webClient(roots *x509.CertPool) *http.Client {
	return client(&http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		DialContext:     (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
	}, 20*time.Second)
}

// nearClient is for services on this machine's own link, to which no proxy leads. That there is none shows quickly.
func nearClient(roots *x509.CertPool, timeout time.Duration) *http.Client {
	return client(&http.Transport{
		DialContext:     (&net.Dialer{Timeout: timeout}).DialContext,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
	}, timeout)
}

// client follows no redirection: what is sent is secret.
func client(t *http.Transport, timeout time.Duration) *http.Client {
	t.DisableKeepAlives = true // it is used once an hour
	return &http.Client{Transport: t, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}
