package miniotest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// Keys are what a client signs with. Token is "" for a user's own, which do not expire.
type Keys struct{ ID, Secret, Token string }

// A Statement grants actions on resources, "bucket" or "bucket/prefix/*". Prefix confines the listing of a bucket.
type Statement struct {
	Actions   []string
	Resources []string
	Prefix    string // pattern of s3:prefix, "" for any
}

// Policy returns statements in the language of S3.
func Policy(statements ...Statement) string {
	type grant struct {
		Effect           string
		Action, Resource []string
		Condition        map[string]map[string]string `json:",omitempty"`
	}
	var grants []grant
	for _, s := range statements {
		g := grant{Effect: "Allow"}
		for _, a := range s.Actions {
			g.Action = append(g.Action, "s3:"+a)
		}
		for _, r := range s.Resources {
			g.Resource = append(g.Resource, "arn:aws:s3:::"+r)
		}
		if s.Prefix != "" {
			g.Condition = map[string]map[string]string{"StringLike": {"s3:prefix": s.Prefix}}
		}
		grants = append(grants, g)
	}
	data, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": grants})
	if err != nil {
		panic(err)
	}
	return string(data)
}

// User makes a user who may do what a policy grants and nothing else. It is removed when the test ends. The server must be MinIO.
func (s *Server) User(t testing.TB, policy string) Keys {
	t.Helper()
	u := Keys{ID: "user-" + strings.ToLower(rand.Text()[:12]), Secret: rand.Text()}
	secret, err := json.Marshal(map[string]string{"secretKey": u.Secret, "status": "enabled"})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := s.seal(secret)
	if err != nil {
		t.Fatal(err)
	}
	admin := func(ctx context.Context, method, operation string, body []byte) {
		t.Helper()
		if err := s.admin(ctx, method, operation, body); err != nil {
			t.Fatalf("%s: %v", operation, err)
		}
	}
	admin(t.Context(), http.MethodPut, "add-user?accessKey="+u.ID, sealed)
	admin(t.Context(), http.MethodPut, "add-canned-policy?name="+u.ID, []byte(policy))
	admin(t.Context(), http.MethodPut, "set-user-or-group-policy?isGroup=false&policyName="+u.ID+"&userOrGroup="+u.ID, nil)
	t.Cleanup(func() {
		admin(context.Background(), http.MethodDelete, "remove-user?accessKey="+u.ID, nil)
		admin(context.Background(), http.MethodDelete, "remove-canned-policy?name="+u.ID, nil)
	})
	return u
}

// Session asks the server's own STS for temporary credentials, with what a policy leaves of the administrator's rights; "" leaves all.
func (s *Server) Session(t testing.TB, policy string) Keys {
	t.Helper()
	creds, err := credentials.NewSTSAssumeRole(s.Endpoint, credentials.STSAssumeRoleOptions{
		AccessKey: s.AccessKey, SecretKey: s.SecretKey, Policy: policy, Location: s.Region, DurationSeconds: 900,
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := creds.GetWithContext(nil)
	if err != nil {
		t.Fatalf("ask for a session: %v", err)
	}
	return Keys{v.AccessKeyID, v.SecretAccessKey, v.SessionToken}
}

// admin makes a request of MinIO's administration interface.
func (s *Server) admin(ctx context.Context, method, operation string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, s.Endpoint+"/minio/admin/v3/"+operation, bytes.NewReader(body))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	resp, err := http.DefaultClient.Do(signer.SignV4(*req, s.AccessKey, s.SecretKey, "", s.Region))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	return nil
}

// seal encrypts a secret as MinIO's administration interface wants it: a key by PBKDF2 from the administrator's secret, and one fragment of
// an AES-256-GCM stream (secure-io), whose associated data is the seal of nothing.
func (s *Server) seal(data []byte) ([]byte, error) {
	const pbkdf2AESGCM, last = 0x02, 0x80
	salt, nonce := make([]byte, 32), make([]byte, 12) // the last four bytes count the fragments
	rand.Read(salt)
	rand.Read(nonce[:8])
	key, err := pbkdf2.Key(sha256.New, s.SecretKey, salt, 8192, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	out := append(append(bytes.Clone(salt), pbkdf2AESGCM), nonce[:8]...)
	associated := gcm.Seal([]byte{last}, nonce, nil, nil)
	nonce[8] = 1
	return gcm.Seal(out, nonce, data, associated), nil
}

// Environ returns the environment of a program that uses these keys at the server. Append it to that of Env.
func (k Keys) Environ() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + k.ID, "AWS_SECRET_ACCESS_KEY=" + k.Secret, "AWS_SESSION_TOKEN=" + k.Token}
}
