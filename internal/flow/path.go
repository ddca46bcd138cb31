package flow

import (
	"net/url"
	"strings"
)

// maxKeyParts bounds how much of a key is looked at.
const maxKeyParts = 64

// parsePath returns what the key of an object says about all its records. It reads the name=value parts of IBM's, AWS' (Hive) and Azure's keys, and AWS' plain ones.
func parsePath(key string, in *interner) (r Record) {
	parts := strings.SplitN(key, "/", maxKeyParts)
	for i, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			// AWSLogs/{account}/vpcflowlogs/{region}/...
			if part == "vpcflowlogs" && i > 0 && i+1 < len(parts) {
				r.AccountID, r.Region = parts[i-1], parts[i+1]
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
			r.AccountID = value
		case "region", "aws-region":
			r.Region = value
		case "vpc-id":
			r.VPCID = value
		case "subnet-id":
			r.SubnetID = value
		case "instance-id":
			r.InstanceID = value
		case "vnic-id":
			r.InterfaceID, r.Observer = value, value
		case "record-type":
			r.RecordType = value
		case "stream-id":
			r.StreamID = value
		case "macaddress":
			r.InterfaceID, r.Observer = value, value
		}
	}
	return r
}
