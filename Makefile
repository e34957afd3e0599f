# bmwi: a Lua module for the BMW i remote service, its simulator and its command line.
#
# `make help` lists the targets. Only `make deps`, `make demo` and `make test` install packages; the
# others report missing ones.
#
# Variables on the command line or in the environment: LUA (lua5.4; also lua5.3 lua5.2 lua5.1 luajit
# or a path), CC, CFLAGS, CPPFLAGS, LDFLAGS, LUA_INCDIR, PKG_CONFIG, DEV=1 (warnings are errors),
# V=1 (show the commands); for `make install` DESTDIR, PREFIX, INST_LIBDIR, INST_LUADIR,
# INST_BINDIR, PRECOMPILED=1 (bytecode for this Lua instead of source; keeps line numbers).

LUA ?= lua5.4
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
PKG_CONFIG ?= pkg-config
LUAS := lua5.4 lua5.3 lua5.2 lua5.1 luajit

# csrc/ without the loader and the simulator; the rockspec has the same list.
SRC := csrc/binding/answer.c csrc/binding/auth_error.c csrc/binding/await.c csrc/binding/bmwi.c \
  csrc/binding/car.c csrc/binding/client.c csrc/binding/fail.c csrc/binding/fields.c \
  csrc/binding/hooks.c csrc/binding/json.c csrc/binding/json_amend.c csrc/binding/kept.c \
  csrc/binding/loop.c csrc/binding/methods.c csrc/binding/mqtt.c csrc/binding/options.c \
  csrc/binding/request.c csrc/binding/schema.c csrc/binding/sys.c csrc/binding/token.c \
  csrc/binding/values.c csrc/binding/values_status.c csrc/core/account.c csrc/core/attempt.c \
  csrc/core/base64.c csrc/core/buffer.c csrc/core/connection.c csrc/core/device.c \
  csrc/core/engine.c csrc/core/guard.c csrc/core/handle.c csrc/core/mqtt.c csrc/core/oauth.c \
  csrc/core/op.c csrc/core/poll.c csrc/core/redact.c csrc/core/session.c csrc/core/sha256.c \
  csrc/core/stream.c csrc/core/timers.c csrc/core/transfer.c csrc/core/transport.c \
  csrc/core/url.c csrc/core/verdict.c csrc/core/word.c csrc/service/cardata.c \
  csrc/service/cardata_fields.c csrc/service/cardata_values.c csrc/service/classic.c \
  csrc/service/service.c
LOADER_SRC := csrc/loader.c
SIM_SRC := csrc/sim/main.c csrc/sim/server.c csrc/sim/stream.c csrc/sim/control.c \
  csrc/sim/route.c csrc/sim/fault.c csrc/sim/log.c csrc/sim/service.c csrc/sim/http.c \
  csrc/sim/world.c csrc/sim/json.c csrc/sim/form.c csrc/sim/text.c csrc/sim/sha256.c \
  csrc/sim/picture.c csrc/sim/listen.c csrc/sim/replay.c csrc/sim/link.c csrc/sim/packet.c \
  csrc/sim/cardata/stream_settings.c csrc/sim/cardata/session.c csrc/sim/cardata/mqtt.c \
  csrc/sim/cardata/broker.c csrc/sim/cardata/message.c csrc/sim/cardata/live.c \
  csrc/sim/cardata/feed.c csrc/sim/cardata/cardata.c csrc/sim/cardata/login.c \
  csrc/sim/cardata/token.c csrc/sim/cardata/rest.c csrc/sim/cardata/vehicle.c \
  csrc/sim/cardata/container.c csrc/sim/cardata/quota.c csrc/sim/cardata/settings.c \
  csrc/sim/cardata/stamp.c csrc/sim/cardata/errors.c csrc/sim/cardata/data.c \
  csrc/sim/classic/classic.c csrc/sim/classic/answer.c csrc/sim/classic/command.c \
  csrc/sim/classic/token.c csrc/sim/classic/poi.c csrc/sim/classic/image.c \
  csrc/sim/classic/profile.c csrc/sim/classic/types.c csrc/sim/classic/car.c \
  csrc/sim/classic/settings.c csrc/sim/classic/errors.c csrc/sim/classic/data.c
LUA_SRC := lua/bmwi/_check.lua lua/bmwi/_decimal.lua lua/bmwi/_finalizer.lua lua/bmwi/_names.lua \
  lua/bmwi/_number.lua lua/bmwi/_svg.lua lua/bmwi/_text.lua lua/bmwi/async.lua \
  lua/bmwi/bridge/commands.lua lua/bmwi/bridge/homeassistant.lua lua/bmwi/bridge/hub.lua \
  lua/bmwi/bridge/members.lua lua/bmwi/bridge/prometheus.lua lua/bmwi/bridge/publisher.lua \
  lua/bmwi/bridge/source.lua lua/bmwi/bridge/topics.lua lua/bmwi/cardata.lua \
  lua/bmwi/cardata/call.lua lua/bmwi/cardata/container.lua lua/bmwi/cardata/container_setup.lua \
  lua/bmwi/cardata/containers.lua lua/bmwi/cardata/history.lua lua/bmwi/cardata/live.lua \
  lua/bmwi/cardata/reads.lua lua/bmwi/cardata/status.lua lua/bmwi/cardata/stream.lua \
  lua/bmwi/cardata/stream_hub.lua lua/bmwi/cardata/stream_message.lua \
  lua/bmwi/cardata/stream_queue.lua lua/bmwi/cardata/stream_schedule.lua \
  lua/bmwi/cardata/stream_times.lua lua/bmwi/chart.lua lua/bmwi/cli.lua lua/bmwi/cli/act.lua \
  lua/bmwi/cli/anonymous.lua lua/bmwi/cli/args.lua lua/bmwi/cli/bridge.lua \
  lua/bmwi/cli/cardata.lua lua/bmwi/cli/cardata_cars.lua lua/bmwi/cli/cardata_doctor.lua \
  lua/bmwi/cli/cardata_status.lua lua/bmwi/cli/cardata_views.lua lua/bmwi/cli/checks.lua \
  lua/bmwi/cli/closest.lua lua/bmwi/cli/command_texts.lua lua/bmwi/cli/commands.lua \
  lua/bmwi/cli/config.lua lua/bmwi/cli/demo.lua lua/bmwi/cli/doctor.lua lua/bmwi/cli/explain.lua \
  lua/bmwi/cli/fail.lua lua/bmwi/cli/help.lua lua/bmwi/cli/hint.lua lua/bmwi/cli/imperial.lua \
  lua/bmwi/cli/layout.lua lua/bmwi/cli/live.lua lua/bmwi/cli/man.lua lua/bmwi/cli/option_texts.lua \
  lua/bmwi/cli/output.lua lua/bmwi/cli/programs.lua lua/bmwi/cli/prompt.lua lua/bmwi/cli/read.lua \
  lua/bmwi/cli/record.lua lua/bmwi/cli/render.lua lua/bmwi/cli/report.lua lua/bmwi/cli/screen.lua \
  lua/bmwi/cli/session.lua lua/bmwi/cli/shell.lua lua/bmwi/cli/status.lua lua/bmwi/cli/trips.lua \
  lua/bmwi/cli/values.lua lua/bmwi/cli/views.lua lua/bmwi/cli/watch.lua lua/bmwi/config.lua \
  lua/bmwi/geo.lua \
  lua/bmwi/geo/geojson.lua lua/bmwi/geo/kml.lua lua/bmwi/geo/reading.lua lua/bmwi/geo/shapes.lua \
  lua/bmwi/geo/sphere.lua lua/bmwi/geo/svg.lua lua/bmwi/geo/xml.lua lua/bmwi/host.lua \
  lua/bmwi/navigation.lua lua/bmwi/store.lua lua/bmwi/store/account.lua lua/bmwi/store/change.lua \
  lua/bmwi/store/form.lua lua/bmwi/store/limits.lua lua/bmwi/store/place.lua lua/bmwi/time.lua \
  lua/bmwi/units.lua lua/bmwi/wait.lua

# The interpreter's name if it is a known one (so that reading this file does not require it),
# otherwise what it reports; "lua" if it cannot be run.
LUA_TAG := $(or $(filter $(LUAS),$(notdir $(LUA))),$(shell $(LUA) -e \
  'io.write(jit and "luajit" or "lua" .. _VERSION:match("%d+%.%d+"))' 2>/dev/null),lua)
LUA_V := $(patsubst lua%,%,$(subst luajit,lua5.1,$(LUA_TAG)))

BUILD ?= build/$(LUA_TAG)
SIM ?= build/bmwi-sim
SIM_BUILD ?= build/sim
CERTS := build/certs
MODULE := $(BUILD)/bmwi.so
CORE := $(BUILD)/bmwi/core.so

INST_LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_V)
INST_LUADIR ?= $(PREFIX)/share/lua/$(LUA_V)
INST_BINDIR ?= $(PREFIX)/bin

# Evaluated once, and only when a command needs the result.
once = $(eval $(1) := $$(shell $(2)))$($(1))
LUA_PC := $(LUA_TAG) lua$(LUA_V) lua-$(LUA_V) lua$(subst .,,$(LUA_V)) lua
ifdef LUA_INCDIR
LUA_CFLAGS := -I$(LUA_INCDIR)
else
LUA_CFLAGS = $(if $(LUA_V),,$(error bmwi: the interpreter $(LUA) cannot be run))$(call \
  once,LUA_CFLAGS,for p in $(LUA_PC); do \
  case "`$(PKG_CONFIG) --modversion $$$$p 2>/dev/null`" in \
  ($(LUA_V)*|2.*) $(PKG_CONFIG) --cflags $$$$p; break;; esac; done)
endif
CURL_CFLAGS = $(call once,CURL_CFLAGS,$(PKG_CONFIG) --cflags libcurl 2>/dev/null)
CURL_LIBS = $(call once,CURL_LIBS,$(PKG_CONFIG) --libs libcurl 2>/dev/null || echo -lcurl)
SIM_PC := libmicrohttpd gnutls jansson zlib
SIM_PKG_CFLAGS = $(call once,SIM_PKG_CFLAGS,$(PKG_CONFIG) --cflags $(SIM_PC) 2>/dev/null)
SIM_PKG_LIBS = $(call once,SIM_PKG_LIBS,$(PKG_CONFIG) --libs $(SIM_PC) 2>/dev/null || \
  echo -lmicrohttpd -lgnutls -ljansson -lz)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
DEFINES := -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -D_DARWIN_C_SOURCE
COMMON := -std=c11 $(WARNINGS) $(if $(DEV),-Werror) $(DEFINES)
# The core is bound when it is loaded (CORE_FLAG), so its calls of Lua and libcurl need no table of
# stubs in between.
MODULE_FLAGS = $(COMMON) -Icsrc -fPIC -fno-plt $(LUA_CFLAGS) $(CURL_CFLAGS) \
  $(CPPFLAGS) $(CFLAGS) $(INSTRUMENT) $(if $(INSTRUMENT),-DBMWI_INSTRUMENTED)
SIM_FLAGS = $(COMMON) $(SIM_PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(INSTRUMENT)
# Parts of the C library, some only until glibc 2.34; the rockspec has the same list.
C_LIBS := -lpthread -ldl -lm
# The interpreter provides the Lua functions, so the module does not link to a Lua library.
LIBFLAG ?= $(if $(filter Darwin,$(shell uname -s)),-bundle -undefined dynamic_lookup,-shared)
# A function that this Lua or this libcurl lacks is an error of the loader, not of a later call.
# Only the core's own: those of libcurl's libraries stay unbound (csrc/loader.c).
CORE_FLAG := $(if $(filter Darwin,$(shell uname -s)),,-Wl,-z,now)

OBJ := $(SRC:csrc/%.c=$(BUILD)/%.o)
LOADER_OBJ := $(LOADER_SRC:csrc/%.c=$(BUILD)/%.o)
SIM_OBJ := $(SIM_SRC:csrc/sim/%.c=$(SIM_BUILD)/%.o)

# Prints a short line for each step; V=1 shows the command instead.
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@;)
# If nothing compiles, a package may be missing.
no_build = { $(CHECK_DEPS) build $(LUA_TAG); false; }

# Packages. After installing them, a new make evaluates everything about them again.
DEPS = LUA="$(LUA)" LUA_INCDIR="$(LUA_INCDIR)" CC="$(CC)" PKG_CONFIG="$(PKG_CONFIG)" .ci/deps
CHECK_DEPS = $(DEPS) --check
AGAIN = @$(MAKE) --no-print-directory
# What is compiled, on all cores, unless the user has said -j.
PARALLEL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1))

.PHONY: all help deps sim demo test test-all docs install uninstall clean run-demo build-test \
  run-test check-flags
.DELETE_ON_ERROR:

all: $(MODULE) $(SIM) ## the module for $(LUA), and the simulator, in build/

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' \
	  Makefile .ci/analysis.mk

sim: $(SIM) ## the simulator alone

SET ?= build test
deps: ## installs what is missing; SET='build test lint' and so on: see .ci/deps
	@$(DEPS) $(SET) $(LUA_TAG)

$(MODULE): $(LOADER_OBJ) | $(CORE)
	$(call say,LINK)$(CC) $(LIBFLAG) $(CFLAGS) $(INSTRUMENT) $(LDFLAGS) -o $@ $(LOADER_OBJ) $(C_LIBS)

$(CORE): $(OBJ)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LIBFLAG) $(CORE_FLAG) $(CFLAGS) $(INSTRUMENT) $(LDFLAGS) -o $@ $(OBJ) \
	  $(CURL_LIBS) $(C_LIBS)

$(BUILD)/%.o: csrc/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(MODULE_FLAGS) -MMD -MP -c -o $@ $< || $(no_build)

$(SIM): $(SIM_OBJ)
	$(call say,LINK)$(CC) $(CFLAGS) $(INSTRUMENT) $(LDFLAGS) -o $@ $(SIM_OBJ) $(SIM_PKG_LIBS) \
	  $(C_LIBS)

$(SIM_BUILD)/%.o: csrc/sim/%.c $(SIM_BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(SIM_FLAGS) -MMD -MP -c -o $@ $< || $(no_build)

# Rewritten only when they differ, so that changed flags rebuild everything.
$(BUILD)/flags: check-flags
	@mkdir -p $(@D)
	@echo '$(CC) $(MODULE_FLAGS)' | cmp -s - $@ || echo '$(CC) $(MODULE_FLAGS)' >$@
$(SIM_BUILD)/flags: check-flags
	@mkdir -p $(@D)
	@echo '$(CC) $(SIM_FLAGS)' | cmp -s - $@ || echo '$(CC) $(SIM_FLAGS)' >$@

# A CA and a server certificate for loopback, only for the tests in this folder.
$(CERTS)/complete: spec/certs.sh
	@rm -f $@
	@sh spec/certs.sh $(CERTS)

# A locale with a decimal comma, and one with a two-byte decimal point; without them the specs that
# need one are skipped.
LOCALES := build/locales
LOCALE_DIRS := $(LOCALES)/de_DE.UTF-8 $(LOCALES)/ps_AF.UTF-8
$(LOCALE_DIRS):
	@mkdir -p $(LOCALES)
	@localedef -i $(basename $(@F)) -f UTF-8 $(CURDIR)/$@ 2>/dev/null || mkdir -p $@

-include $(OBJ:.o=.d) $(LOADER_OBJ:.o=.d) $(SIM_OBJ:.o=.d)

# ---- running things from the source tree --------------------------------------------------------

RUN_LUA ?= $(LUA)
# Folders set by `luarocks path` come after our own. Tests must not use a proxy.
LUA_SUFFIX := $(subst .,_,$(LUA_V))
RUN_ENV = env -u LUA_PATH_$(LUA_SUFFIX) -u LUA_CPATH_$(LUA_SUFFIX) \
  -u http_proxy -u https_proxy -u HTTPS_PROXY -u all_proxy -u ALL_PROXY \
  LUA="$(RUN_LUA)" \
  LUA_PATH="./lua/?.lua;./?.lua;$${LUA_PATH_$(LUA_SUFFIX):-$${LUA_PATH:-;}}" \
  LUA_CPATH="./$(BUILD)/?.so;$${LUA_CPATH_$(LUA_SUFFIX):-$${LUA_CPATH:-;}}" \
  BMWI_SIM=$(SIM) BMWI_SIM_CERT=$(CERTS)/server.pem BMWI_SIM_KEY=$(CERTS)/server.key \
  BMWI_CA_FILE=$(CERTS)/ca.pem LOCPATH=$(CURDIR)/$(LOCALES)

demo: ## installs what is missing, builds, and demonstrates bmwi with a simulated car
	@$(DEPS) build $(LUA_TAG)
	$(AGAIN) $(PARALLEL) run-demo

run-demo: $(MODULE) $(SIM) $(CERTS)/complete
	@$(RUN_ENV) $(LUA) bin/bmwi demo --output build/range-map.svg

# Long specs come first, so that none is left running alone at the end.
LONG_SPECS := $(patsubst %,spec/%_spec.lua,outcome mqtt_life mqtt sim_stream cli bridge async \
  loop cli_cardata stream_outage store sim secrets stream op)
SPECS ?= $(filter-out $(WITHOUT:%=spec/%_spec.lua),$(LONG_SPECS) \
  $(filter-out $(LONG_SPECS),$(sort $(wildcard spec/*_spec.lua))))
# Specs that test no C, those that test the same on every Lua, and those that test other processes
# than their own: WITHOUT leaves them out where they would only cost time.
NO_C := house layering make readme reference sources systemd
ANY_LUA := $(NO_C) docs sim sim_cardata sim_replay sim_stream
PROCESSES := bridge bridge_outage cli cli_cardata cli_faults cli_help cli_record doctor examples \
  launcher live_cardata recorded_day settings watch
test: ## installs what is missing and runs the specs, or SPECS=spec/units_spec.lua
	@$(DEPS) build test $(LUA_TAG)
	$(AGAIN) $(PARALLEL) build-test
	$(AGAIN) run-test

# Per core: most specs spend much time waiting. Targets that keep all cores busy use fewer.
JOBS ?= 3
build-test: $(MODULE) $(SIM) $(CERTS)/complete $(LOCALE_DIRS)
run-test: build-test
	@$(RUN_ENV) WRAP="$(WRAP)" .ci/each $(JOBS) $(BUILD)/specs '.ci/spec $(SPEC_ARGS) ' $(SPECS)

TEST_LUAS ?= $(LUAS)
test-all: ## the specs that depend on the Lua version, on Lua 5.1 to 5.4 and LuaJIT
	@$(CHECK_DEPS) build test $(TEST_LUAS)
	@for lua in $(TEST_LUAS); do \
	  $(MAKE) --no-print-directory $(PARALLEL) build-test LUA="$$lua" || exit 1; done
	@unset MAKEFLAGS MFLAGS; \
	  .ci/each 1 build/test-all '$(MAKE) --no-print-directory run-test WITHOUT=$$(ANY_LUA) LUA=' \
	    $(TEST_LUAS)

docs: $(MODULE) $(SIM) ## regenerates the generated pages in docs/; with LDoc also build/html
	@$(RUN_ENV) $(LUA) .ci/cli.lua >docs/cli.md.new && mv docs/cli.md.new docs/cli.md
	@$(LUA) .ci/reference.lua >docs/reference.md.new && mv docs/reference.md.new docs/reference.md
	@$(RUN_ENV) .ci/with-sim http sh -c 'BMWI_BASE_URL=$$1 $(LUA) examples/range_map_svg.lua \
	  docs/range-map.svg' - URL
	@command -v ldoc >/dev/null || { echo 'bmwi: build/html is left out: ldoc is missing (lua-ldoc)'; \
	  exit 0; }; LUA="$(LUA)" .ci/ldoc build/html

include .ci/analysis.mk

# ---- installing ---------------------------------------------------------------------------------

LUA_DIRS := $(sort $(dir $(LUA_SRC:lua/%=%)))
TYPES := $(wildcard types/*.lua)
# The launcher runs on the chosen Lua. Outside of /usr it says where its modules are, since not
# every Lua looks there by itself.
LUA_LINE := $(if $(filter /%,$(LUA)),$(LUA),/usr/bin/env $(LUA))
LUA_SETUP := $(if $(filter-out /usr,$(PREFIX)),echo 'package.path = "$(INST_LUADIR)/?.lua;" \
  .. package.path'; echo 'package.cpath = "$(INST_LIBDIR)/?.so;" .. package.cpath';)

# Files below PREFIX/share = the arguments of bmwi that print them.
PAGES := man/man1/bmwi.1=help_--man bash-completion/completions/bmwi=completion_bash \
  zsh/site-functions/_bmwi=completion_zsh fish/vendor_completions.d/bmwi.fish=completion_fish

install: $(MODULE) ## installs below PREFIX=/usr/local
	install -d '$(DESTDIR)$(INST_LIBDIR)/bmwi' '$(DESTDIR)$(INST_BINDIR)'
	install -m 755 $(CORE) '$(DESTDIR)$(INST_LIBDIR)/bmwi/core.so'
	install -m 755 $(MODULE) '$(DESTDIR)$(INST_LIBDIR)/bmwi.so'
	for d in $(LUA_DIRS); do install -d "$(DESTDIR)$(INST_LUADIR)/$$d" || exit 1; done
	for f in $(LUA_SRC:lua/%=%); do \
	  install -m 644 "lua/$$f" "$(DESTDIR)$(INST_LUADIR)/$$f" || exit 1; \
	  $(if $(PRECOMPILED),$(LUA) .ci/precompile "lua/$$f" "$(DESTDIR)$(INST_LUADIR)/$$f" \
	    "$(INST_LUADIR)/$$f" || exit 1;) done
	install -d '$(DESTDIR)$(INST_LUADIR)/bmwi/types'
	install -m 644 $(TYPES) '$(DESTDIR)$(INST_LUADIR)/bmwi/types'
	{ echo '#!$(LUA_LINE)'; $(LUA_SETUP) tail -n +2 bin/bmwi; } >'$(DESTDIR)$(INST_BINDIR)/bmwi'
	$(if $(PRECOMPILED),$(LUA) .ci/precompile '$(DESTDIR)$(INST_BINDIR)/bmwi' \
	  '$(DESTDIR)$(INST_BINDIR)/bmwi' '$(INST_BINDIR)/bmwi')
	chmod 755 '$(DESTDIR)$(INST_BINDIR)/bmwi'
	@$(RUN_ENV) $(LUA) bin/bmwi --version >/dev/null || { \
	  echo 'bmwi: cannot run here, so its manual page and completions are not installed'; exit 0; }; \
	set -e; for page in $(PAGES); do file='$(DESTDIR)$(PREFIX)/share'/$${page%%=*}; \
	  install -d "$${file%/*}"; \
	  $(RUN_ENV) $(LUA) bin/bmwi $$(echo "$${page#*=}" | tr _ ' ') >"$$file"; \
	  chmod 644 "$$file"; echo "bmwi $${page#*=} >$$file"; done

uninstall: ## removes what `make install` installed
	rm -f '$(DESTDIR)$(INST_LIBDIR)/bmwi.so' '$(DESTDIR)$(INST_LIBDIR)/bmwi/core.so' \
	  '$(DESTDIR)$(INST_BINDIR)/bmwi'
	rmdir '$(DESTDIR)$(INST_LIBDIR)/bmwi' 2>/dev/null || true
	for f in $(LUA_SRC:lua/%=%) $(TYPES:%=bmwi/%); do rm -f "$(DESTDIR)$(INST_LUADIR)/$$f"; done
	for page in $(PAGES); do rm -f '$(DESTDIR)$(PREFIX)/share'/"$${page%%=*}"; done
	for d in $(LUA_DIRS) bmwi/types bmwi; do rmdir "$(DESTDIR)$(INST_LUADIR)/$$d" 2>/dev/null || true; done

clean: ## removes build/
	rm -rf build
