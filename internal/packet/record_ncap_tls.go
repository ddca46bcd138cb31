package packet

import (
	"encoding/hex"
	"slices"
	"strings"

	"github.com/orielhq/oriel/internal/packet/ncap"
	"github.com/orielhq/oriel/internal/packet/tls"
)

func (r *TLS) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Int(ncap.Int(ncap.Int(r.stamp(b), 2, 22), 3, 0x0301), 5, tls.TypeClientHello)
	version := int64(0x0303)
	if h := r.client; h != nil {
		version = int64(h.Version)
		b = ncap.Int(ncap.Int(b, 4, int64(h.Length)+4), 6, int64(h.Length))
		b = ncap.Int(ncap.Bytes(b, 8, h.Random[:]), 9, int64(h.SessionID))
		b = ncap.Int(ncap.Int(b, 11, int64(2*len(h.Ciphers))), 12, int64(h.ExtensionLen))
		b = ncap.Bool(b, 14, slices.Contains(h.Extensions, 5)) // status_request: OCSP
		b = ncap.Ints(ncap.Ints(ncap.Ints(b, 15, h.Ciphers), 16, h.Compression), 17, h.Signatures)
		b = ncap.Ints(ncap.Ints(b, 18, h.Groups), 19, h.PointFormats)
		b = ncap.Ints(b, 28, h.Extensions)
	}
	b = ncap.String(ncap.Int(b, 7, version), 13, r.ServerName)
	if r.ClientALPN != "" {
		b = ncap.Strings(b, 20, strings.Split(r.ClientALPN, ","))
	}
	b = ncap.String(b, 21, r.JA3)
	b = ncap.String(ncap.String(b, 22, r.OrigAddr), 23, r.RespAddr)
	return ncap.TypeClientHello, ncap.Int(ncap.Int(b, 26, int64(r.OrigPort)), 27, int64(r.RespPort))
}

// ncapToo is the server's hello; it goes the other way.
func (r *TLS) ncapToo(b []byte) (ncap.Type, []byte) {
	h := r.server
	if h == nil {
		return 0, nil
	}
	b = ncap.Int(ncap.Int(r.stamp(b), 2, int64(h.Legacy)), 5, int64(h.Cipher))
	b = ncap.Bool(ncap.Bool(b, 10, slices.Contains(h.Extensions, 35)), 11, slices.Contains(h.Extensions, 0xff01))
	b = ncap.Bool(ncap.String(b, 13, text(h.ALPN)), 14, slices.Contains(h.Extensions, 23))
	if h.Version != h.Legacy {
		b = ncap.Int(b, 16, int64(h.Version))
	}
	b = ncap.Ints(ncap.Int(b, 21, int64(h.Group)), 22, h.Extensions)
	b = ncap.String(ncap.String(b, 23, r.RespAddr), 24, r.OrigAddr)
	return ncap.TypeServerHello, ncap.String(ncap.Int(ncap.Int(b, 27, int64(r.RespPort)), 28, int64(r.OrigPort)), 29, r.JA3S)
}

func (r *QUIC) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.Bool(ncap.String(r.addresses(r.stamp(b), 2), 6, r.Version), 7, true)
	for n, id := range []string{r.ServerID, r.ClientID} {
		raw, _ := hex.DecodeString(id) // ours
		b = ncap.Bytes(b, fieldNumber(8+n), raw)
	}
	b = ncap.String(b, 10, r.ServerName)
	if r.ClientALPN != "" {
		b = ncap.Strings(b, 11, strings.Split(r.ClientALPN, ","))
	}
	if h := r.client; h != nil {
		b = ncap.Ints(ncap.Ints(ncap.Ints(ncap.Ints(b, 12, h.Ciphers), 13, h.Extensions), 14, h.Groups), 15, h.Signatures)
		if len(h.Versions) > 0 {
			b = ncap.Int(b, 16, int64(slices.Max(h.Versions)))
		}
	}
	return ncap.TypeQUICHello, ncap.String(ncap.String(b, 20, r.JA4), 31, r.CommunityID)
}

func (r *X509) ncap(b []byte) (ncap.Type, []byte) {
	b = ncap.String(ncap.String(r.stamp(b), 2, r.RespAddr), 3, r.OrigAddr) // the server sends it
	b = ncap.Int(ncap.Int(ncap.Int(b, 6, int64(r.RespPort)), 7, int64(r.OrigPort)), 8, int64(r.Position))
	b = ncap.String(b, 9, commonName(r.Subject))
	if r.Names != "" {
		b = ncap.Strings(b, 10, strings.Split(r.Names, ","))
	}
	b = ncap.Int(ncap.Int(ncap.String(b, 15, commonName(r.Issuer)), 18, r.NotBefore.UnixNano()), 19, r.NotAfter.UnixNano())
	b = ncap.Bool(ncap.Bool(b, 20, r.Time.After(r.NotAfter)), 21, r.SelfSigned)
	b = ncap.Int(b, 22, int64(r.NotAfter.Sub(r.Time).Hours()/24))
	b = ncap.Int(ncap.String(ncap.String(b, 23, r.SignatureAlgorithm), 24, r.KeyType), 25, int64(r.KeyBits))
	b = ncap.String(ncap.String(b, 26, r.Serial), 28, r.SHA256)
	return ncap.TypeCertificate, ncap.String(ncap.Bool(b, 32, r.CA), 44, r.CommunityID)
}

// commonName is the CN of a name as RFC 2253 writes it.
func commonName(name string) string {
	for part := range strings.SplitSeq(name, ",") {
		if cn, ok := strings.CutPrefix(part, "CN="); ok {
			return cn
		}
	}
	return ""
}
