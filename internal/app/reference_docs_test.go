package app

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/orielhq/oriel/internal/lake"
)

// fieldDocs finds the comments of types and their fields in the source.
type fieldDocs struct {
	dirs map[string]map[string]string // by package: comments by "Type" and "Type.Field"
	seen map[reflect.Type]string      // structs that the table has already, by the key
}

// of returns a field's comment, or the type's own if no field is named.
func (d *fieldDocs) of(t *testing.T, typ reflect.Type, field string) string {
	t.Helper()
	const module = "github.com/orielhq/oriel/"
	dir, ok := strings.CutPrefix(typ.PkgPath(), module)
	if !ok {
		return ""
	}
	if d.dirs[dir] == nil {
		d.dirs[dir] = readDocs(t, filepath.Join(root, dir))
	}
	name := typ.Name()
	if field == "" {
		return d.dirs[dir][name]
	}
	return d.dirs[dir][name+"."+field]
}

func readDocs(t *testing.T, dir string) map[string]string {
	t.Helper()
	docs := map[string]string{}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, f.Name()), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				typ, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				doc := typ.Doc
				if doc == nil {
					doc = gen.Doc
				}
				docs[typ.Name.Name] = strings.TrimSpace(doc.Text())
				if s, ok := typ.Type.(*ast.StructType); ok {
					structDocs(docs, typ.Name.Name, s)
				}
			}
		}
	}
	return docs
}

// structDocs takes a field's comment, above it or beside it. Fields below a
// comment that names them share it.
func structDocs(docs map[string]string, name string, s *ast.StructType) {
	above := ""
	for _, f := range s.Fields.List {
		text := strings.TrimSpace(f.Doc.Text())
		if text != "" {
			above = text
		}
		for _, n := range f.Names {
			switch beside := strings.TrimSpace(f.Comment.Text()); {
			case text != "":
				docs[name+"."+n.Name] = text
			case beside != "":
				docs[name+"."+n.Name] = beside
			case slices.Contains(words.FindAllString(above, -1), n.Name):
				docs[name+"."+n.Name] = above
			}
		}
	}
}

var words = regexp.MustCompile(`[A-Za-z0-9]+`)

// keyDoc is a field's comment for a reader who knows the key, not the field.
func (d *fieldDocs) keyDoc(t *testing.T, typ reflect.Type, f reflect.StructField) string {
	t.Helper()
	text := d.of(t, typ, f.Name)
	if base, ok := strings.CutSuffix(f.Name, "File"); ok && text == "" {
		if of, ok := typ.FieldByName(base); ok {
			return "a file with the `" + of.Tag.Get("yaml") + "`"
		}
	}
	for _, verb := range []string{" is ", " are ", " says ", " tells "} {
		if rest, ok := strings.CutPrefix(text, f.Name+verb); ok {
			text = rest
		}
	}
	keys := map[string]string{}
	for of := range typ.Fields() {
		if key, _, _ := strings.Cut(of.Tag.Get("yaml"), ","); key != "" && key != "-" {
			keys[of.Name] = "`" + key + "`"
		}
	}
	return words.ReplaceAllStringFunc(text, func(w string) string {
		if key, ok := keys[w]; ok && w != "TLS" {
			return key
		}
		return w
	})
}

// columns writes the columns of a table with rows of a type.
func (d *fieldDocs) columns(t *testing.T, b *strings.Builder, typ reflect.Type) {
	t.Helper()
	about := map[string]string{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for f := range typ.Fields() {
			if f.Anonymous {
				walk(f.Type)
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("parquet"), ",")
			about[name] = d.of(t, typ, f.Name)
		}
	}
	walk(typ)
	for _, c := range lake.ColumnsOf(reflect.New(typ).Interface()) {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", c.Name, c.Type, inCell(about[c.Name]))
	}
}
