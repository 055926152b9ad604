package importrules_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
)

// A source is one file of a package, without its types.
type source struct {
	pkg     string
	imports []use // import paths
	uses    []use // "os.Rename" for what a package exports, ".Sync" for a field or method, "println", "func init"
}

// A use is a thing that is named at a place.
type use struct {
	name string
	pos  token.Position
}

// parse reads a file of package pkg. text is nil, or the content.
func parse(pkg, file string, text any) (source, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, text, 0)
	if err != nil {
		return source{}, err
	}
	s := source{pkg: pkg}
	names := map[string]string{} // by which the file calls its imports
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, use{p, fset.Position(spec.Pos())})
		name := usualName(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			name := "." + n.Sel.Name
			// What the parser resolved is a variable of this file that hides the import.
			if x, ok := n.X.(*ast.Ident); ok && x.Obj == nil && names[x.Name] != "" {
				name = names[x.Name] + name
			}
			s.uses = append(s.uses, use{name, fset.Position(n.Pos())})
		case *ast.CallExpr:
			if x, ok := n.Fun.(*ast.Ident); ok && x.Obj == nil {
				s.uses = append(s.uses, use{x.Name, fset.Position(n.Pos())})
			}
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				s.uses = append(s.uses, use{"func init", fset.Position(n.Pos())})
			}
		}
		return true
	})
	return s, nil
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// usualName guesses the name of a package from its path. The packages that the rules name follow it.
func usualName(p string) string {
	if majorVersion.MatchString(path.Base(p)) {
		p = path.Dir(p)
	}
	return path.Base(p)
}

// broken returns what of a file breaks a rule, and the reason of the rule.
func broken(s source) []string {
	var out []string
	for _, r := range importRules {
		for _, i := range s.imports {
			if r.who(s.pkg) && r.what(i.name) {
				out = append(out, fmt.Sprintf("%s: %s imports %s: %s", i.pos, s.pkg, i.name, r.reason))
			}
		}
	}
	for _, r := range useRules {
		for _, u := range s.uses {
			if r.who(s.pkg) && slices.Contains(r.names, u.name) {
				out = append(out, fmt.Sprintf("%s: %s uses %s: %s", u.pos, s.pkg, u.name, r.reason))
			}
		}
	}
	return out
}
