# sysmgr - build, test and install it with GNU make. `make help` lists the targets.
# Variables may come from the command line or the environment; paths may contain spaces.

CARGO ?= cargo
CARGOFLAGS ?= --locked
INSTALL ?= install
STRIP ?= strip
CARGO_TARGET_DIR ?= target

# What a distribution has decided: config.toml, then the overlay that SYSMGR_CONFIG names; the last one counts.
setting = $(shell for f in config.toml $(if $(SYSMGR_CONFIG),"$(SYSMGR_CONFIG)"); do \
	sed -n 's/^[[:blank:]]*$(1)[[:blank:]]*=[[:blank:]]*["'\'']\([^"'\'']*\).*/\1/p' "$$f"; done | tail -n 1)
ifdef PREFIX
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
else
PREFIX := $(call setting,prefix)
BINDIR ?= $(or $(call setting,bin_dir),$(PREFIX)/bin)
MANDIR ?= $(or $(call setting,man_dir),$(PREFIX)/share/man)
endif
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
DOCDIR ?= $(PREFIX)/share/doc/sysmgr

# Static executables need a target that is named: procedural macros are then built without these flags.
target := $(lastword $(CARGO_BUILD_TARGET) $(patsubst --target=%,%,$(filter --target=%,$(subst --target ,--target=,$(CARGOFLAGS)))))
ifneq ($(filter-out 0 no,$(STATIC)),)
target := $(or $(target),$(shell rustc -vV | sed -n 's/^host: //p'))
export CARGO_BUILD_TARGET := $(target)
export RUSTFLAGS := $(strip $(RUSTFLAGS) -C target-feature=+crt-static -C relocation-model=static)
endif

space := $(subst ,, )
esc = $(subst $(space),\ ,$(1))
out := $(if $(filter /%,$(firstword $(CARGO_TARGET_DIR))),,$(CURDIR)/)$(CARGO_TARGET_DIR)
bin := $(out)/$(if $(target),$(target)/)release
gen := $(out)/gen
export CARGO_TARGET_DIR := $(out)
export SYSMGR_GEN_DIR := $(gen)

tools := sysmgr runsyssv svctl sysmgr-depends
pages := sysmgr.8 runsyssv.1 svctl.1 sysmgr-depends.1
completions := $(foreach t,$(tools),$(t).bash _$(t) $(t).fish)
generated := $(addprefix $(call esc,$(gen))/,$(pages) $(completions))
built := $(addprefix $(call esc,$(bin))/,$(tools)) $(generated)
examples := $(shell find examples -type f ! -name '.*' ! -name '*~')
scripts := $(shell find examples -type f -perm -100)

# Everything that is installed, as calls of a shell function: put MODE SOURCE DESTINATION
each = $(foreach t,$(tools),put 755 "$(bin)/$(t)" "$(BINDIR)/$(t)"; \
	put 644 "$(gen)/$(t).bash" "$(BASHDIR)/$(t)"; \
	put 644 "$(gen)/_$(t)" "$(ZSHDIR)/_$(t)"; \
	put 644 "$(gen)/$(t).fish" "$(FISHDIR)/$(t).fish";) \
	$(foreach p,$(pages),put 644 "$(gen)/$(p)" "$(MANDIR)/man$(subst .,,$(suffix $(p)))/$(p)";) \
	$(foreach d,$(wildcard README.md CHANGELOG.md LICENSE),put 644 $(d) "$(DOCDIR)/$(d)";) \
	$(foreach e,$(examples),put $(if $(filter $(e),$(scripts)),755,644) $(e) "$(DOCDIR)/$(e)";) \
	put 755 packaging/alpine/sysmgr.initd "$(DOCDIR)/examples/openrc/sysmgr.initd"; \
	put 644 packaging/alpine/sysmgr.confd "$(DOCDIR)/examples/openrc/sysmgr.confd"; \
	put 755 packaging/void/files/sysmgr/run "$(DOCDIR)/examples/runit/run";

# Cargo takes a build for fresh when one of its generated files was deleted: look, and make it build again.
define build
$(CARGO) build --release $(CARGOFLAGS)
@ls $(foreach f,$(pages) $(completions),"$(gen)/$(f)") >/dev/null 2>&1 || \
	{ $(CARGO) clean --release -p sysmgr && $(CARGO) build --release $(CARGOFLAGS); }
endef

.PHONY: all run check bench chaos lint install install-strip uninstall clean dist repro help

all: ## build the executables, manuals and completions (STATIC=1: static executables)
	$(build)

# Without prerequisites: what is there is taken as it is, so that `install` never builds it anew.
$(built) &:
	$(build)

run: all ## supervise a few example services here, until Ctrl-C
	@examples/try "$(bin)" "$(out)/run"

check: ## run all tests; those that need a program that is missing say so
	$(CARGO) test $(CARGOFLAGS)

bench: ## measure, also against other supervisors that are installed
	$(CARGO) bench $(CARGOFLAGS) --bench supervisors

chaos: ## kill, fail and disturb everything, at each step and at random (SECONDS=600, SEED=1)
	SYSMGR_THOROUGH=yes $(CARGO) test $(CARGOFLAGS) $(patsubst tests/%.rs,--test %,$(wildcard tests/faults_*.rs)) -- --nocapture
	SECONDS=$(or $(SECONDS),600) $(CARGO) test $(CARGOFLAGS) --test chaos -- --nocapture

lint: ## look at the form of Rust code, shell scripts and manuals
	$(CARGO) build $(CARGOFLAGS)
	@CARGO="$(CARGO)" .ci/lint "$(gen)"

install: $(built) ## install below PREFIX, BINDIR, MANDIR (staged below DESTDIR)
	@set -e; put() { mkdir -p "$(DESTDIR)$${3%/*}"; $(INSTALL) -m "$$1" "$$2" "$(DESTDIR)$$3"; }; $(each)

install-strip: install ## the same, with stripped executables
	@$(STRIP) $(foreach t,$(tools),"$(DESTDIR)$(BINDIR)/$(t)")

uninstall: ## remove what install has made
	@put() { rm -f "$(DESTDIR)$$3"; }; $(each)
	@[ ! -d "$(DESTDIR)$(DOCDIR)" ] || find "$(DESTDIR)$(DOCDIR)" -depth -type d -exec rmdir {} \; 2>/dev/null || true

clean: ## remove what was built
	$(CARGO) clean

dist: ## make a source archive with all crates, which builds without network
	@CARGO="$(CARGO)" packaging/dist "$(out)/dist"

repro: ## build twice in different folders and compare every installed file
	@MAKE="$(MAKE)" packaging/repro "$(out)/repro"

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' Makefile | expand -t 18
