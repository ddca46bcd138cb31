package wireguard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// parseJSON reads what tools keep of their peers: wg-easy's wg0.json up to v14
// ({"clients": {ID: {"name", "publicKey"}}}), a file of wireguard-ui's
// db/clients ({"public_key", "name", "email"}), a list of either, or a map of
// public keys to names. An entry that cannot be read costs its own peer's name.
func parseJSON(data []byte) (nameFile, error) {
	file := nameFile{names: map[Key]name{}}
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(data, &list); err != nil {
			return file, errJSON(err)
		}
		for _, entry := range list {
			file.addJSON(entry)
		}
		return file, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return file, errJSON(err)
	}
	if clients, ok := object["clients"]; ok {
		var byID map[string]json.RawMessage
		if err := json.Unmarshal(clients, &byID); err != nil {
			return file, fmt.Errorf("clients: %w", errJSON(err))
		}
		for _, entry := range byID {
			file.addJSON(entry)
		}
		return file, nil
	}
	if _, ok := object["public_key"]; ok {
		file.addJSON(data)
		return file, nil
	}
	for text, value := range object {
		var friendly string
		key, err := ParseKey(text)
		if err == nil {
			err = json.Unmarshal(value, &friendly)
		}
		if err != nil {
			file.bad++
			continue
		}
		file.add(key, name{friendly: cleanName(friendly)})
	}
	return file, nil
}

// errJSON says where a text is wrong and not what it says there: it may be a private key.
func errJSON(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	}
	return errors.New("not the JSON that was expected")
}

// addJSON adds one client of wg-easy or wireguard-ui.
func (f *nameFile) addJSON(entry json.RawMessage) {
	var client struct {
		Name      string `json:"name"`
		Email     string `json:"email"`
		PublicKey string `json:"publicKey"`
		PublicUI  string `json:"public_key"`
	}
	err := json.Unmarshal(entry, &client)
	var key Key
	if err == nil {
		if client.PublicKey == "" {
			client.PublicKey = client.PublicUI
		}
		key, err = ParseKey(client.PublicKey)
	}
	if err != nil {
		f.bad++
		return
	}
	if client.Name == "" {
		client.Name = client.Email
	}
	f.add(key, name{friendly: cleanName(client.Name)})
}

// flatJSON reads an object of texts, numbers and truth values.
func flatJSON(text string) ([]string, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return nil, fmt.Errorf("friendly_json: %w", err)
	}
	var keys []string
	for k := range object {
		if !labelName.MatchString(k) || slices.Contains(reserved, k) || strings.HasPrefix(k, "allowed_ip_") || strings.HasPrefix(k, "allowed_subnet_") {
			return nil, fmt.Errorf("friendly_json: %q cannot be a label", k)
		}
		keys = append(keys, k)
	}
	if len(keys) > maxNamePairs {
		return nil, fmt.Errorf("friendly_json: more than %d keys", maxNamePairs)
	}
	slices.Sort(keys)
	var pairs []string
	for _, k := range keys {
		switch v := object[k].(type) {
		case string:
			pairs = append(pairs, k, cleanName(v))
		case json.Number:
			pairs = append(pairs, k, v.String())
		case bool:
			pairs = append(pairs, k, strconv.FormatBool(v))
		default:
			return nil, fmt.Errorf("friendly_json: %q is not a text, number or truth value", k)
		}
	}
	return pairs, nil
}

// ParsePeerFile reads mdlayher/wireguard_exporter's TOML file of names:
// [[peer]] blocks with public_key and name, nothing else.
func ParsePeerFile(r io.Reader) (map[string]string, error) {
	var file struct {
		Peers []struct {
			PublicKey string `toml:"public_key"`
			Name      string `toml:"name"`
		} `toml:"peer"`
	}
	err := toml.NewDecoder(io.LimitReader(r, maxNameFile)).DisallowUnknownFields().Decode(&file)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		return nil, fmt.Errorf("unknown key:\n%s", strict.String())
	}
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for i, p := range file.Peers {
		if _, err := ParseKey(p.PublicKey); err != nil {
			return nil, fmt.Errorf("peer %d: %w", i+1, err)
		}
		if p.Name == "" {
			return nil, fmt.Errorf("peer %d: empty name", i+1)
		}
		names[p.PublicKey] = p.Name
	}
	return names, nil
}

// parseTOML reads the same file as one that may change: a peer that cannot be
// read costs its own name.
func parseTOML(data []byte) (nameFile, error) {
	found := nameFile{names: map[Key]name{}}
	var file struct {
		Peers []struct {
			PublicKey string `toml:"public_key"`
			Name      string `toml:"name"`
		} `toml:"peer"`
	}
	if err := toml.Unmarshal(data, &file); err != nil {
		return found, err
	}
	for _, p := range file.Peers {
		key, err := ParseKey(p.PublicKey)
		if err != nil || p.Name == "" {
			found.bad++
			continue
		}
		found.add(key, name{friendly: cleanName(p.Name)})
	}
	return found, nil
}
