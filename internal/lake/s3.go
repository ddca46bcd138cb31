package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/orielhq/oriel/internal/conf"
)

const (
	// idle is how long an answer's first byte may take, and how long any later one.
	idle = 30 * time.Second
	// maxPut is the largest object that is written in one request, as conditional writing demands.
	maxPut = 5 << 30
)

// S3Config says where a bucket is and who we are there.
type S3Config struct {
	// URL is s3://bucket or s3://bucket/prefix.
	URL string `yaml:"url"`
	// Endpoint is the server, as a host or a URL; http:// means no TLS. Amazon's unless told.
	Endpoint string `yaml:"endpoint"`
	Region   string `yaml:"region"` // found out where the server tells it
	// AccessKey and SecretKey sign requests. Without them and without an IAM key, the variables
	// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or ~/.aws/credentials do; Anonymous sends nothing.
	AccessKey     string      `yaml:"access_key"`
	SecretKey     conf.Secret `yaml:"secret_key"`
	SecretKeyFile string      `yaml:"secret_key_file"`
	Anonymous     bool        `yaml:"anonymous"`
	// IAMAPIKey is an IBM Cloud API key, which IAMURL changes into tokens of an hour.
	IAMAPIKey     conf.Secret `yaml:"iam_api_key"`
	IAMAPIKeyFile string      `yaml:"iam_api_key_file"`
	IAMURL        string      `yaml:"iam_url"`
	TLS           conf.TLS    `yaml:"tls"` // how the server is met
}

const defaultIAM = "https://iam.cloud.ibm.com/identity/token"

// Validate names the first key that makes no sense.
func (c *S3Config) Validate() error {
	if _, _, err := c.bucket(); err != nil {
		return conf.Field("url", "%w", err)
	}
	if _, _, err := c.endpoint(); err != nil {
		return conf.Field("endpoint", "%w", err)
	}
	iam := c.IAMAPIKey != "" || c.IAMAPIKeyFile != ""
	switch {
	case c.AccessKey == "" && (c.SecretKey != "" || c.SecretKeyFile != ""):
		return conf.Field("access_key", "missing beside the secret key")
	case c.AccessKey != "" && c.SecretKey == "" && c.SecretKeyFile == "":
		return conf.Field("secret_key", "missing beside access_key")
	case c.SecretKey != "" && c.SecretKeyFile != "":
		return conf.Field("secret_key_file", "secret_key is there too")
	case c.IAMAPIKey != "" && c.IAMAPIKeyFile != "":
		return conf.Field("iam_api_key_file", "iam_api_key is there too")
	case iam && c.AccessKey != "" || c.Anonymous && (iam || c.AccessKey != ""):
		return conf.Field("url", "more than one of access_key, iam_api_key and anonymous")
	}
	if c.IAMURL != "" {
		if u, err := url.Parse(c.IAMURL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return conf.Field("iam_url", "not an http(s) URL")
		}
	}
	if err := c.TLS.Validate(); err != nil {
		return conf.Field("tls", "%w", err)
	}
	return nil
}

// bucket returns the bucket and the prefix of all keys, "" or ending in "/".
func (c *S3Config) bucket() (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(c.URL, "s3://")
	if !ok {
		return "", "", fmt.Errorf("%q does not begin with s3://", c.URL)
	}
	bucket, prefix, _ = strings.Cut(rest, "/")
	if len(bucket) < 3 || strings.Trim(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return "", "", fmt.Errorf("%q names no bucket", c.URL)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return bucket, prefix, nil
}

// endpoint returns the host and whether it speaks TLS.
func (c *S3Config) endpoint() (host string, secure bool, err error) {
	if c.Endpoint == "" {
		return "s3.amazonaws.com", true, nil
	}
	host = c.Endpoint
	if strings.Contains(host, "://") {
		u, err := url.Parse(host)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.User != nil {
			return "", false, errors.New("not a host or an http(s) URL without a path")
		}
		return u.Host, u.Scheme == "https", nil
	}
	if strings.ContainsAny(host, "/@ ") {
		return "", false, errors.New("not a host or an http(s) URL without a path")
	}
	return host, true, nil
}

// S3 is a store in a bucket of anything that speaks S3.
type S3 struct {
	core   minio.Core
	bucket string
	prefix string
	stall  time.Duration // idle; tests have less time
}

// NewS3 returns the store in a bucket. It connects when it is used first.
func NewS3(c S3Config) (*S3, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	bucket, prefix, _ := c.bucket() // checked
	host, secure, _ := c.endpoint()
	base, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	base.ResponseHeaderTimeout = idle
	if secure {
		if base.TLSClientConfig, err = c.TLS.Client(); err != nil {
			return nil, fmt.Errorf("s3: %w", err)
		}
	}
	o := &minio.Options{Secure: secure, Region: c.Region, Transport: base, MaxRetries: 4, Creds: credentials.New(&keys{c})}
	switch {
	case c.IAMAPIKey != "" || c.IAMAPIKeyFile != "":
		o.Creds = credentials.NewStaticV4("", "", "")
		if c.IAMURL == "" {
			c.IAMURL = defaultIAM
		}
		o.Transport = &bearer{next: base, config: c, client: &http.Client{Transport: base, Timeout: idle}}
	case c.Anonymous:
		o.Creds = credentials.NewStaticV4("", "", "")
	case c.AccessKey == "":
		o.Creds = credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}})
	}
	client, err := minio.New(host, o)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	return &S3{core: minio.Core{Client: client}, bucket: bucket, prefix: prefix, stall: idle}, nil
}

// keys gives the configured keys; a file is read when a request needs it.
type keys struct{ c S3Config }

// RetrieveWithCredContext gives the keys.
func (k *keys) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return k.Retrieve()
}

// Retrieve gives the keys.
func (k *keys) Retrieve() (credentials.Value, error) {
	secret, err := k.c.SecretKey.Or(k.c.SecretKeyFile)
	if err != nil {
		return credentials.Value{}, err
	}
	return credentials.Value{AccessKeyID: k.c.AccessKey, SecretAccessKey: secret.Reveal(), SignerType: credentials.SignatureV4}, nil
}

// IsExpired is never true: a new file needs a restart or a reload.
func (k *keys) IsExpired() bool { return false }

func (s *S3) String() string { return "s3://" + s.bucket + "/" + s.prefix }

// List lists with the server's own order and start.
func (s *S3) List(ctx context.Context, prefix, startAfter string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx) // ends the listing when the caller has enough
		defer cancel()
		o := minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true}
		if startAfter != "" {
			o.StartAfter = s.prefix + startAfter
		}
		for info := range s.core.Client.ListObjects(ctx, s.bucket, o) {
			if info.Err != nil {
				yield(Object{}, fmt.Errorf("list %q: %w", prefix, s3Error(info.Err)))
				return
			}
			if !yield(s.object(info), nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(Object{}, err)
		}
	}
}

func (s *S3) object(info minio.ObjectInfo) Object {
	return Object{Key: strings.TrimPrefix(info.Key, s.prefix), ETag: strings.Trim(info.ETag, `"`), Size: info.Size, Modified: info.LastModified}
}

// Get begins to read an object.
func (s *S3) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	return s.get(ctx, key, minio.GetObjectOptions{})
}

// GetRange begins to read a part.
func (s *S3) GetRange(ctx context.Context, key string, offset, n int64) (io.ReadCloser, error) {
	var o minio.GetObjectOptions
	if n <= 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err := o.SetRange(offset, offset+n-1); err != nil {
		return nil, fmt.Errorf("get %q: %w", key, err)
	}
	return s.get(ctx, key, o)
}

func (s *S3) get(ctx context.Context, key string, o minio.GetObjectOptions) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	body, _, _, err := s.core.GetObject(ctx, s.bucket, s.prefix+key, o)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("get %q: %w", key, s3Error(err))
	}
	b := &impatient{body: body, ctx: ctx, cancel: cancel, stall: s.stall}
	b.timer = time.AfterFunc(s.stall, func() { cancel(errStalled) })
	b.timer.Stop()
	return b, nil
}

var errStalled = errors.New("the server stopped in the middle of an object")

// impatient ends the reading of an object of which nothing comes any more: a
// server, or what lies between, may keep a connection open for ever.
type impatient struct {
	body   io.ReadCloser
	ctx    context.Context //nolint:containedctx // of the request: to end it
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
}

// Read waits for the stall's time at most; what the reader does meanwhile does not count.
func (b *impatient) Read(p []byte) (int, error) {
	b.timer.Reset(b.stall)
	n, err := b.body.Read(p)
	b.timer.Stop()
	if err != nil && errors.Is(context.Cause(b.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

// Close ends the request.
func (b *impatient) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.body.Close()
}

// Put writes an object in one request.
func (s *S3) Put(ctx context.Context, key string, body io.Reader, size int64, ifAbsent bool) error {
	if size > maxPut {
		return fmt.Errorf("put %q: %d bytes are more than one request can have", key, size)
	}
	// A checksum of each chunk is not understood by all servers, and TLS has its own.
	o := minio.PutObjectOptions{DisableContentSha256: true, DisableMultipart: true, ContentType: "application/octet-stream"}
	if ifAbsent {
		o.SetMatchETagExcept("*")
	}
	if _, err := s.core.Client.PutObject(ctx, s.bucket, s.prefix+key, body, size, o); err != nil {
		return fmt.Errorf("put %q: %w", key, s3Error(err))
	}
	return nil
}

// Stat describes an object.
func (s *S3) Stat(ctx context.Context, key string) (Object, error) {
	info, err := s.core.StatObject(ctx, s.bucket, s.prefix+key, minio.StatObjectOptions{})
	if err != nil {
		return Object{}, fmt.Errorf("stat %q: %w", key, s3Error(err))
	}
	return s.object(info), nil
}

// Delete removes an object.
func (s *S3) Delete(ctx context.Context, key string) error {
	err := s3Error(s.core.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{}))
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("delete %q: %w", key, err)
	}
	return nil
}

// s3Error makes our errors of the server's.
func s3Error(err error) error {
	if err == nil {
		return nil
	}
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return err
	}
	switch {
	case r.Code == "NoSuchBucket":
		return fmt.Errorf("no such bucket: %w", err)
	case r.Code == "NoSuchKey" || r.StatusCode == http.StatusNotFound:
		return ErrNotFound
	case r.StatusCode == http.StatusPreconditionFailed || r.Code == "PreconditionFailed" || r.Code == "ConditionalRequestConflict":
		return ErrExists
	}
	return err
}

var _ Store = (*S3)(nil)
