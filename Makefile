# bmwi: a Lua module for the BMW i remote service, its simulator and its command line.
#
#   make demo       install what is missing, build, and show the module at work on a simulated car
#   make test       the same set-up, then the specs (SPECS=spec/units_spec.lua for some of them)
#   make            build the module for $(LUA) and the simulator
#   make install    DESTDIR, PREFIX, INST_LIBDIR, INST_LUADIR and INST_BINDIR say where
#   make help       all targets
#
# Variables of the command line or the environment: LUA (lua5.4; also lua5.3 lua5.2 lua5.1 luajit
# or a path), CC, CFLAGS, CPPFLAGS, LDFLAGS, LUA_INCDIR, PKG_CONFIG, DEV=1 (warnings are errors),
# V=1 (show the commands).

LUA ?= lua5.4
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
PKG_CONFIG ?= pkg-config
LUAS := lua5.4 lua5.3 lua5.2 lua5.1 luajit

# csrc/ without the simulator; the same list stands in the rockspec.
SRC := csrc/binding/await.c csrc/binding/bmwi.c csrc/binding/car.c csrc/binding/client.c \
  csrc/binding/fail.c csrc/binding/fields.c csrc/binding/json.c csrc/binding/kept.c \
  csrc/binding/loop.c csrc/binding/options.c csrc/binding/refusal.c csrc/binding/schema.c \
  csrc/binding/sys.c csrc/binding/values.c csrc/binding/values_status.c csrc/core/base64.c \
  csrc/core/buffer.c csrc/core/engine.c csrc/core/guard.c csrc/core/oauth.c csrc/core/op.c \
  csrc/core/poll.c csrc/core/sha256.c csrc/core/timers.c csrc/core/transfer.c \
  csrc/core/transport.c csrc/core/url.c csrc/core/verdict.c csrc/service/cardata_fields.c \
  csrc/service/cardata_values.c csrc/service/classic.c csrc/service/endpoint.c \
  csrc/service/service.c
SIM_SRC := csrc/sim/main.c csrc/sim/server.c csrc/sim/stream.c csrc/sim/control.c \
  csrc/sim/route.c csrc/sim/fault.c csrc/sim/log.c csrc/sim/service.c csrc/sim/http.c \
  csrc/sim/world.c csrc/sim/json.c csrc/sim/form.c csrc/sim/text.c csrc/sim/sha256.c \
  csrc/sim/picture.c csrc/sim/cardata/cardata.c csrc/sim/cardata/login.c \
  csrc/sim/cardata/token.c csrc/sim/cardata/rest.c csrc/sim/cardata/vehicle.c \
  csrc/sim/cardata/container.c csrc/sim/cardata/quota.c csrc/sim/cardata/settings.c \
  csrc/sim/cardata/stamp.c csrc/sim/cardata/errors.c csrc/sim/cardata/data.c \
  csrc/sim/classic/classic.c csrc/sim/classic/answer.c csrc/sim/classic/command.c \
  csrc/sim/classic/token.c csrc/sim/classic/poi.c csrc/sim/classic/image.c \
  csrc/sim/classic/profile.c csrc/sim/classic/types.c csrc/sim/classic/car.c \
  csrc/sim/classic/settings.c csrc/sim/classic/errors.c csrc/sim/classic/data.c
LUA_SRC := lua/bmwi/_check.lua lua/bmwi/_names.lua lua/bmwi/_text.lua lua/bmwi/async.lua \
  lua/bmwi/cli.lua lua/bmwi/cli/act.lua lua/bmwi/cli/args.lua lua/bmwi/cli/commands.lua \
  lua/bmwi/cli/config.lua lua/bmwi/cli/demo.lua lua/bmwi/cli/doctor.lua lua/bmwi/cli/fail.lua \
  lua/bmwi/cli/help.lua lua/bmwi/cli/output.lua lua/bmwi/cli/read.lua lua/bmwi/cli/render.lua \
  lua/bmwi/cli/session.lua lua/bmwi/cli/views.lua lua/bmwi/geo.lua lua/bmwi/geo/geojson.lua \
  lua/bmwi/geo/kml.lua lua/bmwi/geo/reading.lua lua/bmwi/geo/shapes.lua lua/bmwi/geo/sphere.lua \
  lua/bmwi/geo/svg.lua lua/bmwi/geo/xml.lua lua/bmwi/host.lua lua/bmwi/navigation.lua \
  lua/bmwi/store.lua lua/bmwi/time.lua lua/bmwi/units.lua lua/bmwi/wait.lua

# The interpreter's own name where it is a known one (so that nothing needs to be installed to read
# this file), else what it says of itself; "lua" if it cannot be run.
LUA_TAG := $(or $(filter $(LUAS),$(notdir $(LUA))),$(shell $(LUA) -e \
  'io.write(jit and "luajit" or "lua" .. _VERSION:match("%d+%.%d+"))' 2>/dev/null),lua)
LUA_V := $(patsubst lua%,%,$(subst luajit,lua5.1,$(LUA_TAG)))

BUILD ?= build/$(LUA_TAG)
SIM ?= build/bmwi-sim
SIM_BUILD ?= build/sim
CERTS := build/certs
MODULE := $(BUILD)/bmwi.so

INST_LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_V)
INST_LUADIR ?= $(PREFIX)/share/lua/$(LUA_V)
INST_BINDIR ?= $(PREFIX)/bin

# Asked once, and only when a command needs the answer.
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
SIM_PC := libmicrohttpd jansson zlib
SIM_PKG_CFLAGS = $(call once,SIM_PKG_CFLAGS,$(PKG_CONFIG) --cflags $(SIM_PC) 2>/dev/null)
SIM_PKG_LIBS = $(call once,SIM_PKG_LIBS,$(PKG_CONFIG) --libs $(SIM_PC) 2>/dev/null || \
  echo -lmicrohttpd -ljansson -lz)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
DEFINES := -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -D_DARWIN_C_SOURCE
COMMON := -std=c11 $(WARNINGS) $(if $(DEV),-Werror) $(DEFINES)
MODULE_FLAGS = $(COMMON) -Icsrc -fPIC $(LUA_CFLAGS) $(CURL_CFLAGS) \
  $(CPPFLAGS) $(CFLAGS) $(INSTRUMENT)
SIM_FLAGS = $(COMMON) $(SIM_PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(INSTRUMENT)
# Parts of the C library, some until glibc 2.34 only; the same list stands in the rockspec.
C_LIBS := -lpthread -ldl -lm
# The interpreter brings the Lua functions, so the module does not link to a Lua library.
LIBFLAG ?= $(if $(filter Darwin,$(shell uname -s)),-bundle -undefined dynamic_lookup,-shared)

OBJ := $(SRC:csrc/%.c=$(BUILD)/%.o)
SIM_OBJ := $(SIM_SRC:csrc/sim/%.c=$(SIM_BUILD)/%.o)

# Says in a word what is done; V=1 shows the command instead.
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@;)

.PHONY: all help deps sim demo test test-all hosts lint asan tsan memory valgrind gc fuzz \
  fuzz-corpus coverage soak bench install uninstall clean run-demo build-test run-test run-tsan \
  run-memory run-coverage run-lint run-fuzz run-gc run-soak run-bench check-flags
.DELETE_ON_ERROR:

all: $(MODULE) $(SIM)

help:
	@echo 'make all | deps | sim | demo | test | test-all | hosts | lint | asan | tsan | memory | gc'
	@echo '     valgrind | fuzz | fuzz-corpus | coverage | soak | bench | install | uninstall | clean'
	@echo '(the head of Makefile names the variables)'

sim: $(SIM)

$(MODULE): $(OBJ)
	$(call say,LINK)$(CC) $(LIBFLAG) $(CFLAGS) $(INSTRUMENT) $(LDFLAGS) -o $@ $(OBJ) $(CURL_LIBS) \
	  $(C_LIBS)

$(BUILD)/%.o: csrc/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(MODULE_FLAGS) -MMD -MP -c -o $@ $<

$(SIM): $(SIM_OBJ)
	$(call say,LINK)$(CC) $(CFLAGS) $(INSTRUMENT) $(LDFLAGS) -o $@ $(SIM_OBJ) $(SIM_PKG_LIBS) \
	  $(C_LIBS)

$(SIM_BUILD)/%.o: csrc/sim/%.c $(SIM_BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(SIM_FLAGS) -MMD -MP -c -o $@ $<

# Written anew only when they differ, so that other flags build everything anew.
$(BUILD)/flags: check-flags
	@mkdir -p $(@D)
	@echo '$(CC) $(MODULE_FLAGS)' | cmp -s - $@ || echo '$(CC) $(MODULE_FLAGS)' >$@
$(SIM_BUILD)/flags: check-flags
	@mkdir -p $(@D)
	@echo '$(CC) $(SIM_FLAGS)' | cmp -s - $@ || echo '$(CC) $(SIM_FLAGS)' >$@

# An authority and a server certificate for loopback, for this folder's tests only.
$(CERTS)/complete: spec/certs.sh
	@rm -f $@
	@sh spec/certs.sh $(CERTS)

# A locale with a decimal comma, and one with a decimal point of two bytes; without them the specs
# that need one are skipped.
LOCALES := build/locales
LOCALE_DIRS := $(LOCALES)/de_DE.UTF-8 $(LOCALES)/ps_AF.UTF-8
$(LOCALE_DIRS):
	@mkdir -p $(LOCALES)
	@localedef -i $(basename $(@F)) -f UTF-8 $(CURDIR)/$@ 2>/dev/null || mkdir -p $@

-include $(OBJ:.o=.d) $(SIM_OBJ:.o=.d)

# ---- running things from the source tree --------------------------------------------------------

RUN_LUA ?= $(LUA)
# What was set up by `luarocks path` stays behind our own folders. A proxy has no part in tests.
LUA_SUFFIX := $(subst .,_,$(LUA_V))
RUN_ENV = env -u LUA_PATH_$(LUA_SUFFIX) -u LUA_CPATH_$(LUA_SUFFIX) \
  -u http_proxy -u https_proxy -u HTTPS_PROXY -u all_proxy -u ALL_PROXY \
  LUA="$(RUN_LUA)" \
  LUA_PATH="./lua/?.lua;./?.lua;$${LUA_PATH_$(LUA_SUFFIX):-$${LUA_PATH:-;}}" \
  LUA_CPATH="./$(BUILD)/?.so;$${LUA_CPATH_$(LUA_SUFFIX):-$${LUA_CPATH:-;}}" \
  BMWI_SIM=$(SIM) BMWI_SIM_CERT=$(CERTS)/server.pem BMWI_SIM_KEY=$(CERTS)/server.key \
  BMWI_CA_FILE=$(CERTS)/ca.pem LOCPATH=$(CURDIR)/$(LOCALES)

DEPS = @LUA="$(LUA)" LUA_INCDIR="$(LUA_INCDIR)" CC="$(CC)" PKG_CONFIG="$(PKG_CONFIG)" .ci/deps
# After the packages are there, everything about them is asked in a new make.
AGAIN = @$(MAKE) --no-print-directory

deps:
	$(DEPS) build test $(LUA_TAG)

demo:
	$(DEPS) build $(LUA_TAG)
	$(AGAIN) run-demo

run-demo: $(MODULE) $(SIM) $(CERTS)/complete
	@$(RUN_ENV) $(LUA) bin/bmwi demo --output build/range-map.svg

# Those that take long come first, so that none is left alone at the end.
LONG_SPECS := spec/outcome_spec.lua spec/cli_spec.lua spec/secrets_spec.lua
SPECS ?= $(LONG_SPECS) $(filter-out $(LONG_SPECS),$(sort $(wildcard spec/*_spec.lua)))
test:
	$(DEPS) build test $(LUA_TAG)
	$(AGAIN) run-test

build-test: $(MODULE) $(SIM) $(CERTS)/complete $(LOCALE_DIRS)
run-test: build-test
	@$(RUN_ENV) WRAP="$(WRAP)" .ci/spec-each $(BUILD)/specs '$(SPEC_ARGS)' $(SPECS)

TEST_LUAS ?= $(LUAS)
test-all:
	$(DEPS) build test $(TEST_LUAS)
	@.ci/test-all "$(MAKE)" $(TEST_LUAS)

# The specs and the Lua programs they start run on an interpreter of this name, which brings the
# sanitizer's library; no other program that they start gets it. (glibc leaks what it reads LOCPATH
# into.)
ASAN := build/asan-$(LUA_TAG)
LIBASAN = $(call once,LIBASAN,$(CC) -print-file-name=libasan.so)
asan:
	$(DEPS) build test $(LUA_TAG)
	@mkdir -p $(ASAN)
	@$(CC) -shared -fPIC -o $(ASAN)/preload.so .ci/preload.c
	@printf '#!/bin/sh\nunset LOCPATH\nLD_PRELOAD=%s ASAN_OPTIONS=$${ASAN_OPTIONS:-detect_leaks=1} exec %s "$$@"\n' \
	  '$(LIBASAN):$(CURDIR)/$(ASAN)/preload.so' '$(LUA)' >$(ASAN)/lua
	@chmod +x $(ASAN)/lua
	$(AGAIN) run-test BUILD=$(ASAN) RUN_LUA=$(CURDIR)/$(ASAN)/lua \
	  SIM_BUILD=build/asan-sim SIM=build/asan-sim/bmwi-sim \
	  CFLAGS='-O1 -g -fno-omit-frame-pointer' \
	  INSTRUMENT='-fsanitize=address,undefined -fno-sanitize-recover=all'

# Inside other programs: each host in examples/hosts, over HTTP and TLS.
hosts:
	$(DEPS) build test hosts luajit
	$(DEPS) hosts $(LUA_TAG) `examples/hosts/run --luas`
	@for lua in "$(LUA)" `examples/hosts/run --luas`; do \
	  $(MAKE) --no-print-directory build-test LUA="$$lua" || exit 1; done
	@LUA="$(LUA)" examples/hosts/run $(HOSTS)

# Many Lua states in one process, each in a thread of its own, at work on one simulator.
LUA_LIBS = $(call once,LUA_LIBS,for p in $(LUA_PC); do \
  $(PKG_CONFIG) --libs $$$$p 2>/dev/null && break; done)
tsan:
	$(DEPS) build $(LUA_TAG)
	$(AGAIN) sim
	$(AGAIN) run-tsan BUILD=build/tsan-$(LUA_TAG) CFLAGS='-O1 -g' INSTRUMENT=-fsanitize=thread

run-tsan: $(MODULE) $(CERTS)/complete
	@$(CC) $(MODULE_FLAGS) $(LDFLAGS) -o $(BUILD)/threads spec/native/threads.c $(LUA_LIBS) $(C_LIBS)
	@$(RUN_ENV) TSAN_OPTIONS="halt_on_error=1 suppressions=.ci/tsan.supp" .ci/with-sim https \
	  $(BUILD)/threads spec/native/threads.lua 16 URL $(CERTS)/ca.pem

# Under the sanitizers, in programs that hold the module's objects: every allocation fails once; no
# block is given back with a secret in it.
memory:
	$(DEPS) build $(LUA_TAG)
	$(AGAIN) sim
	$(AGAIN) run-memory BUILD=build/memory-$(LUA_TAG) CFLAGS='-O1 -g' INSTRUMENT='$(SANITIZE)'

run-memory: $(OBJ) $(CERTS)/complete
	@$(CC) $(MODULE_FLAGS) $(LDFLAGS) -o $(BUILD)/memory spec/native/memory.c $(OBJ) \
	  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free $(LUA_LIBS) $(CURL_LIBS) $(C_LIBS)
	@$(RUN_ENV) LOCPATH= .ci/with-sim http $(BUILD)/memory spec/native/memory.lua URL \
	  log-in refresh reading 'command and wait' 'charging profile' send_poi image base64 values \
	  async.map 'sleep beside a call' store 'close in flight' 'state closed in flight'
	@$(CC) $(MODULE_FLAGS) $(LDFLAGS) -o $(BUILD)/wiped spec/native/wiped.c $(OBJ) \
	  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free $(LUA_LIBS) $(CURL_LIBS) $(C_LIBS)
	@$(RUN_ENV) LOCPATH= .ci/with-sim http $(BUILD)/wiped spec/native/wiped.lua URL

# libcurl is loaded ahead, so that what it keeps for the whole process does not look lost when Lua
# unloads the module. Specs that are about time, or many times the work of the others, are marked #slow.
LIBCURL = $(call once,LIBCURL,$(CC) -print-file-name=libcurl.so)
valgrind:
	$(DEPS) build test memcheck $(LUA_TAG)
	$(AGAIN) run-test SPEC_ARGS='$(SPEC_ARGS) --exclude-tags=slow' \
	  WRAP='env -u LOCPATH LD_PRELOAD=$(LIBCURL) valgrind -q --trace-children=no --leak-check=full \
	  --errors-for-leak-kinds=definite --show-leak-kinds=definite --error-exitcode=9'

# Ten minutes with 200 cars and every fault at random; SOAK_SECONDS, SOAK_CARS, SOAK_SEED.
soak:
	$(DEPS) build test $(LUA_TAG)
	$(AGAIN) run-soak

run-soak: build-test
	@$(RUN_ENV) $(LUA) spec/soak/soak.lua

# Against libcurl itself and other clients; ROWS='one cold' measures some groups of rows only.
bench:
	$(DEPS) build bench lua5.4
	$(AGAIN) run-bench LUA=lua5.4

run-bench: $(MODULE) $(CERTS)/complete
	@$(RUN_ENV) CC="$(CC)" PKG_CONFIG="$(PKG_CONFIG)" spec/bench/run $(ROWS)

# The programs that the specs start count, too, and the runs under failing memory. What stays
# uncovered, and why: .ci/uncovered.
COVERAGE := build/coverage-lua5.4
coverage:
	$(DEPS) build test lua5.4
	@mkdir -p $(COVERAGE) build/coverage-sim
	@find $(COVERAGE) build/coverage-sim -name '*.gcda' -exec rm -f {} +
	@rm -rf $(COVERAGE)/lua && mkdir -p $(COVERAGE)/lua
	$(AGAIN) run-coverage LUA=lua5.4 SPEC_ARGS=--exclude-tags=slow BUILD=$(COVERAGE) CFLAGS='-O0 -g' INSTRUMENT=--coverage \
	  SIM_BUILD=build/coverage-sim SIM=build/coverage-sim/bmwi-sim

run-coverage: build-test
	@code=0; \
	LUA_INIT_5_4=@$(CURDIR)/.ci/cover.lua BMWI_COVER=$(CURDIR)/$(COVERAGE)/lua \
	  $(MAKE) --no-print-directory run-test || code=1; \
	$(MAKE) --no-print-directory run-memory || code=1; \
	$(LUA) .ci/coverage.lua $(COVERAGE)/lua luac5.4 $(COVERAGE) build/coverage-sim \
	  $(SRC) $(SIM_SRC) || code=1; \
	exit $$code

# The collector at work all the time, in the specs and in the programs they start.
gc:
	$(DEPS) build test lua5.4
	$(AGAIN) run-gc LUA=lua5.4

run-gc: build-test
	@$(RUN_ENV) LUA_INIT_5_4=@$(CURDIR)/spec/native/gc.lua \
	  .ci/spec-each build/gc --exclude-tags=slow $(SPECS)

# Bytes from outside through everything that reads them: each target for FUZZ_SECONDS, the corpus
# in spec/fuzz/corpus first. What is found stays in build/fuzz-*; `make fuzz-corpus` runs the corpus
# alone.
FUZZ_TARGETS := base64 answer token text http values
FUZZ_SECONDS ?= 60
SANITIZE := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
fuzz:
	$(DEPS) build fuzz $(LUA_TAG)
	$(AGAIN) run-fuzz BUILD=build/fuzz-$(LUA_TAG) CC=clang CFLAGS='-O1 -g' \
	  INSTRUMENT='-fsanitize=fuzzer-no-link $(SANITIZE)' FUZZ_MAIN=-fsanitize=fuzzer

fuzz-corpus:
	$(DEPS) build $(LUA_TAG)
	$(AGAIN) run-fuzz BUILD=build/corpus-$(LUA_TAG) CFLAGS='-O1 -g' INSTRUMENT='$(SANITIZE)' \
	  FUZZ_MAIN=-DREPLAY FUZZ_SECONDS=

run-fuzz: $(OBJ)
	@for t in $(FUZZ_TARGETS); do \
	  $(CC) $(MODULE_FLAGS) $(FUZZ_MAIN) $(LDFLAGS) -DTARGET=TARGET_$$t -o $(BUILD)/$$t \
	  spec/fuzz/fuzz.c $(OBJ) $(LUA_LIBS) $(CURL_LIBS) $(C_LIBS) || exit 1; done
	@$(RUN_ENV) .ci/fuzz $(BUILD) "$(FUZZ_SECONDS)" $(FUZZ_TARGETS)

lint:
	$(DEPS) build test lint lua5.4 lua5.1 luajit
	$(AGAIN) run-lint

run-lint: $(MODULE)
	@$(RUN_ENV) LUAS="lua5.4 lua5.1 luajit" PKG_CONFIG="$(PKG_CONFIG)" MODULE=$(MODULE) \
	  SRC="$(SRC)" SIM_SRC="$(SIM_SRC)" FLAGS="$(WARNINGS) $(DEFINES)" .ci/lint

# ---- installing ---------------------------------------------------------------------------------

LUA_DIRS := $(sort $(dir $(LUA_SRC:lua/%=%)))
# The launcher runs on the chosen Lua. Outside of /usr it says where its modules are, since not
# every Lua looks there by itself.
LUA_LINE := $(if $(filter /%,$(LUA)),$(LUA),/usr/bin/env $(LUA))
LUA_SETUP := $(if $(filter-out /usr,$(PREFIX)),echo 'package.path = "$(INST_LUADIR)/?.lua;" \
  .. package.path'; echo 'package.cpath = "$(INST_LIBDIR)/?.so;" .. package.cpath';)

install: $(MODULE)
	install -d '$(DESTDIR)$(INST_LIBDIR)' '$(DESTDIR)$(INST_BINDIR)'
	install -m 755 $(MODULE) '$(DESTDIR)$(INST_LIBDIR)/bmwi.so'
	for d in $(LUA_DIRS); do install -d "$(DESTDIR)$(INST_LUADIR)/$$d" || exit 1; done
	for f in $(LUA_SRC:lua/%=%); do \
	  install -m 644 "lua/$$f" "$(DESTDIR)$(INST_LUADIR)/$$f" || exit 1; done
	{ echo '#!$(LUA_LINE)'; $(LUA_SETUP) tail -n +2 bin/bmwi; } >'$(DESTDIR)$(INST_BINDIR)/bmwi'
	chmod 755 '$(DESTDIR)$(INST_BINDIR)/bmwi'

uninstall:
	rm -f '$(DESTDIR)$(INST_LIBDIR)/bmwi.so' '$(DESTDIR)$(INST_BINDIR)/bmwi'
	for f in $(LUA_SRC:lua/%=%); do rm -f "$(DESTDIR)$(INST_LUADIR)/$$f"; done
	for d in lua/bmwi/cli lua/bmwi/geo lua/bmwi; do \
	  rmdir "$(DESTDIR)$(INST_LUADIR)/$${d#lua/}" 2>/dev/null || true; done

clean:
	rm -rf build
