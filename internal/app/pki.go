package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/tunnel/pki"
)

func pkiCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "pki", Short: "The certificate authority of the tunnels"}
	dir := cmd.PersistentFlags().String("dir", "oriel-pki", "directory of the authority")
	cmd.AddCommand(pkiInit(dir), pkiRequest(), pkiSign(dir), pkiIssue(dir), pkiRenew(dir), pkiServe(dir), pkiRevoke(dir),
		pkiCRL(dir), pkiExport(), pkiList(dir), pkiVerify(dir), pkiRotate(dir))
	return cmd
}

func pkiInit(dir *string) *cobra.Command {
	var domain, key string
	cmd := &cobra.Command{Use: "init", Short: "Make a root and an issuing authority", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if _, err := pki.Init(*dir, domain, key); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "made %s; give every machine %s\n", *dir, filepath.Join(*dir, "bundle.pem"))
		return err
	}}
	cmd.Flags().StringVar(&domain, "domain", "oriel.internal", "trust domain: the host part of every identity")
	cmd.Flags().StringVar(&key, "key", "p256", "type of the keys: p256, p384, ed25519, rsa2048, rsa3072")
	return cmd
}

// orderFlags are what the one who signs decides.
type orderFlags struct {
	order    pki.Order
	lifetime string
}

func (f *orderFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.order.Profile, "profile", "guardian", "guardian, tunnel-server, prober or proxy")
	cmd.Flags().StringVar(&f.order.Name, "name", "", "name of the guardian, server, ...")
	cmd.Flags().StringVar(&f.order.Company, "company", "", "company it belongs to")
	cmd.Flags().StringSliceVar(&f.order.DNS, "dns", nil, "DNS name of a server; can be repeated")
	cmd.Flags().IPSliceVar(&f.order.IPs, "ip", nil, "address of a server; can be repeated")
	cmd.Flags().StringVar(&f.lifetime, "lifetime", "", "how long it is good: 12h, 90d (default: the profile's)")
}

func (f *orderFlags) read() error {
	if f.lifetime == "" {
		return nil
	}
	d, err := conf.ParseDuration(f.lifetime)
	if err != nil {
		return &usageError{fmt.Errorf("--lifetime: %w", err)}
	}
	f.order.Lifetime = d.Std()
	return nil
}

// noteSlowKey warns of keys whose handshakes are dear.
func noteSlowKey(cmd *cobra.Command, public any) {
	if pki.SlowKey(public) {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "note: a handshake with this type of key costs several times that of p256")
	}
}

func pkiRequest() *cobra.Command {
	var name, kind, out string
	cmd := &cobra.Command{Use: "request", Short: "Make a key, which stays here, and a request to have signed", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if _, err := os.Stat(out + ".key"); err == nil {
			return fmt.Errorf("%s.key is there already", out)
		}
		key, err := pki.NewKey(kind)
		if err != nil {
			return &usageError{err}
		}
		text, err := pki.EncodeKey(key)
		if err != nil {
			return err
		}
		req, err := pki.NewRequest(key, name)
		if err != nil {
			return err
		}
		if err := errors.Join(pki.WriteFile(out+".key", text), pki.WriteFile(out+".csr", req)); err != nil {
			return err
		}
		spki, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return err
		}
		noteSlowKey(cmd, key.Public())
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "send %s.csr; compare its public key by SHA-256 %s\n", out, pki.Pin(spki))
		return err
	}}
	cmd.Flags().StringVar(&name, "name", "", "name to show")
	cmd.Flags().StringVar(&kind, "key", "p256", "type of the key")
	cmd.Flags().StringVar(&out, "out", "tunnel", "files to write, without .key and .csr")
	return cmd
}

func pkiSign(dir *string) *cobra.Command {
	var f orderFlags
	var out string
	cmd := &cobra.Command{Use: "sign REQUEST", Short: "Sign the public key of a request; the rest is yours to say", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		if err := f.read(); err != nil {
			return err
		}
		a, err := pki.Open(*dir)
		if err != nil {
			return err
		}
		req, err := pki.ReadFile(args[0])
		if err != nil {
			return err
		}
		chain, err := a.Sign(req, f.order)
		if err != nil {
			return err
		}
		noteSlowKey(cmd, chain[0].PublicKey)
		return pki.WriteFile(out, pki.EncodeCertificates(chain...))
	}}
	f.add(cmd)
	cmd.Flags().StringVar(&out, "out", "tunnel.crt", "file for the chain")
	return cmd
}

func pkiIssue(dir *string) *cobra.Command {
	var f orderFlags
	var out, kind string
	cmd := &cobra.Command{Use: "issue", Short: "Make a key and sign it at once, for laboratories", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if err := f.read(); err != nil {
			return err
		}
		a, err := pki.Open(*dir)
		if err != nil {
			return err
		}
		chain, key, err := a.Issue(kind, f.order)
		if err != nil {
			return err
		}
		noteSlowKey(cmd, chain[0].PublicKey)
		return errors.Join(pki.WriteFile(out+".key", key), pki.WriteFile(out+".crt", pki.EncodeCertificates(chain...)))
	}}
	f.add(cmd)
	cmd.Flags().StringVar(&out, "out", "tunnel", "files to write, without .key and .crt")
	cmd.Flags().StringVar(&kind, "key", "p256", "type of the key")
	return cmd
}

func pkiRenew(dir *string) *cobra.Command {
	var r pki.Renewal
	var url, ca string
	var daemon bool
	var lf logFlags
	cmd := &cobra.Command{Use: "renew", Short: "Renew a certificate, once or whenever it is due", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		log, err := lf.logger(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		r.Log = log
		if url != "" {
			r.Sign = pki.Remote(url, r.CertFile, r.KeyFile, ca)
		} else {
			a, err := pki.Open(*dir)
			if err != nil {
				return err
			}
			r.Sign = func(_ context.Context, req []byte, old []*x509.Certificate) ([]*x509.Certificate, error) {
				return a.Renew(req, old)
			}
		}
		if daemon {
			return r.Run(cmd.Context())
		}
		cert, err := r.Once(cmd.Context())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "renewed %s: good until %s\n", r.CertFile, cert.NotAfter.UTC().Format(time.RFC3339))
		return err
	}}
	cmd.Flags().StringVar(&r.CertFile, "cert", "tunnel.crt", "certificate chain")
	cmd.Flags().StringVar(&r.KeyFile, "key", "tunnel.key", "private key")
	cmd.Flags().BoolVar(&r.NewKey, "new-key", false, "make a new key")
	cmd.Flags().StringArrayVar(&r.Exec, "exec", nil, "program to run afterwards, and its arguments; can be repeated")
	cmd.Flags().StringVar(&url, "url", "", "server of \"oriel pki serve\" (default: the authority in --dir)")
	cmd.Flags().StringVar(&ca, "ca", "bundle.pem", "trust bundle for --url")
	cmd.Flags().BoolVar(&daemon, "daemon", false, "stay, and renew at two thirds of each life")
	lf.add(cmd)
	return cmd
}

func pkiServe(dir *string) *cobra.Command {
	var listen, cert, key string
	cmd := &cobra.Command{Use: "serve", Short: "Renew certificates over mutual TLS, and serve revocation lists", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		a, err := pki.Open(*dir)
		if err != nil {
			return err
		}
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return err
		}
		srv := &http.Server{
			Handler: a, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
			TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert},
		}
		l, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", listen)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "serving https://%s\n", l.Addr())
		stop := context.AfterFunc(cmd.Context(), func() { _ = srv.Close() })
		defer stop()
		if err := srv.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9595", "address to listen on")
	cmd.Flags().StringVar(&cert, "cert", "tunnel.crt", "certificate chain of this server")
	cmd.Flags().StringVar(&key, "key", "tunnel.key", "private key of this server")
	return cmd
}

func pkiRevoke(dir *string) *cobra.Command {
	return &cobra.Command{Use: "revoke SERIAL|URI|PIN", Short: "Revoke certificates and publish the list", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		a, err := pki.Open(*dir)
		if err != nil {
			return err
		}
		n, err := a.Revoke(args[0])
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "revoked %d; distribute %s\n", n, filepath.Join(*dir, "crl.pem"))
		return err
	}}
}

func pkiCRL(dir *string) *cobra.Command {
	return &cobra.Command{Use: "crl", Short: "Sign the revocation lists anew; do it within each seven days", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		a, err := pki.Open(*dir)
		if err != nil {
			return err
		}
		return a.PublishLists()
	}}
}

func pkiExport() *cobra.Command {
	var cert, key, password, out string
	var legacy bool
	cmd := &cobra.Command{Use: "export", Short: "Write key and certificate as PKCS#12", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		pass, err := conf.Secret("").Or(password)
		if err != nil {
			return err
		}
		if pass == "" {
			return &usageError{errors.New("--password-file is missing or empty")}
		}
		text, err := pki.ReadFile(cert)
		if err != nil {
			return err
		}
		chain, err := pki.ParseCertificates(text)
		if err != nil {
			return err
		}
		if text, err = pki.ReadFile(key); err != nil {
			return err
		}
		p12, err := pki.PKCS12(chain, text, pass, legacy)
		if err != nil {
			return err
		}
		return pki.WriteFile(out, p12)
	}}
	cmd.Flags().StringVar(&cert, "cert", "tunnel.crt", "certificate chain")
	cmd.Flags().StringVar(&key, "key", "tunnel.key", "private key")
	cmd.Flags().StringVar(&password, "password-file", "", "file with the password of the key store")
	cmd.Flags().StringVar(&out, "out", "tunnel.p12", "file to write")
	cmd.Flags().BoolVar(&legacy, "legacy", false, "for old readers, such as Java 8")
	return cmd
}

func pkiList(dir *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "list", Short: "List what was signed, by expiry", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		a, err := pki.Open(*dir)
		if err != nil {
			return err
		}
		list, err := a.List()
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "SERIAL\tEXPIRES\tSTATE\tIDENTITY")
		for _, e := range list {
			state := "good"
			if !e.Revoked.IsZero() {
				state = "revoked"
			} else if time.Now().After(e.NotAfter) {
				state = "expired"
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Serial, e.NotAfter.UTC().Format(time.RFC3339), state, e.URI)
		}
		return w.Flush()
	}}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func pkiVerify(dir *string) *cobra.Command {
	var ca, crl string
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Check a certificate chain against the authority's roots and lists", Args: cobra.ExactArgs(1),
		Long: "Check a certificate chain against the authority's roots and lists: those in --dir, or, where there is no authority, those that\n" +
			"--ca and --crl name.",
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := pki.ReadFile(args[0])
			if err != nil {
				return err
			}
			chain, err := pki.ParseCertificates(text)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			check := func(chain []*x509.Certificate) error { return verifyWith(chain, ca, crl) }
			if ca == "" {
				if crl != "" {
					return &usageError{errors.New("--crl goes with --ca")}
				}
				a, err := pki.Open(*dir)
				if err != nil {
					return err
				}
				check = a.Verify
			}
			if err := check(chain); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: good until %s\n", args[0], chain[0].NotAfter.UTC().Format(time.RFC3339))
			return err
		},
	}
	cmd.Flags().StringVar(&ca, "ca", "", "trust bundle")
	cmd.Flags().StringVar(&crl, "crl", "", "revocation lists of --ca's authorities")
	return cmd
}

// verifyWith checks a chain where there is no authority, as on a customer's machine.
func verifyWith(chain []*x509.Certificate, ca, crl string) error {
	text, err := pki.ReadFile(ca)
	if err != nil {
		return err
	}
	roots, err := pki.ParseCertificates(text)
	if err != nil {
		return fmt.Errorf("%s: %w", ca, err)
	}
	var lists *pki.Lists
	if crl != "" {
		if text, err = pki.ReadFile(crl); err != nil {
			return err
		}
		if lists, err = pki.ParseLists(text); err != nil {
			return fmt.Errorf("%s: %w", crl, err)
		}
	}
	return pki.Verify(chain, roots, lists, time.Now())
}

func pkiRotate(dir *string) *cobra.Command {
	var key string
	var force bool
	cmd := &cobra.Command{
		Use: "rotate issuing|root|activate|retire", Short: "Replace the issuing authority or the root",
		Long: "issuing   a new issuing authority under the same root signs from now on\n" +
			"root      a new root joins bundle.pem; distribute it, then\n" +
			"activate  let the new root's issuing authority sign; renew the certificates, then\n" +
			"retire    take old authorities, whose certificates have all ended, out of bundle.pem",
		Args: cobra.ExactArgs(1), ValidArgs: []string{"issuing", "root", "activate", "retire"},
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := pki.Open(*dir)
			if err != nil {
				return err
			}
			switch args[0] {
			case "issuing":
				return a.RotateIssuing(key)
			case "root":
				return a.RotateRoot(key)
			case "activate":
				return a.Activate()
			case "retire":
				went, stayed, err := a.Retire(force)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "retired %d, still in use %d\n", went, stayed)
				return err
			}
			return &usageError{fmt.Errorf("rotate %q: want issuing, root, activate or retire", args[0])}
		},
	}
	cmd.Flags().StringVar(&key, "key", "p256", "type of the new keys")
	cmd.Flags().BoolVar(&force, "force", false, "retire what is still in use")
	return cmd
}
