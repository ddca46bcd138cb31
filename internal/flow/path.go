package flow

import (
	"net/url"
	"strings"
)

// maxKeyParts bounds how much of a key is looked at.
const maxKeyParts = 64

// path is what the key of an object says about all its records.
type path struct{ row Record }

// parsePath reads the name=value parts of IBM's, AWS' (Hive) and Azure's keys, and AWS' plain ones.
func parsePath(key string, in *interner) path {
	var p path
	parts := strings.SplitN(key, "/", maxKeyParts)
	for i, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			// AWSLogs/{account}/vpcflowlogs/{region}/...
			if part == "vpcflowlogs" && i > 0 && i+1 < len(parts) {
				p.row.AccountID, p.row.Region = parts[i-1], parts[i+1]
			}
			continue
		}
		// IBM's documentation shows CRNs encoded, buckets show both.
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		value = in.text([]byte(value))
		switch strings.ToLower(name) {
		case "account", "aws-account-id":
			p.row.AccountID = value
		case "region", "aws-region":
			p.row.Region = value
		case "vpc-id":
			p.row.VPCID = value
		case "subnet-id":
			p.row.SubnetID = value
		case "instance-id":
			p.row.InstanceID = value
		case "vnic-id":
			p.row.InterfaceID, p.row.Observer = value, value
		case "record-type":
			p.row.RecordType = value
		case "stream-id":
			p.row.StreamID = value
		case "macaddress":
			p.row.InterfaceID, p.row.Observer = value, value
		}
	}
	return p
}
