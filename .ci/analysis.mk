# Checks beyond `make test`: included by the Makefile.

.PHONY: hosts lint asan tsan memory valgrind gc fuzz fuzz-corpus coverage soak bench \
  bench-gnutls contract run-tsan run-memory run-coverage run-lint run-fuzz run-gc run-soak \
  run-bench run-contract

SANITIZE := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
LUA_LIBS = $(call once,LUA_LIBS,for p in $(LUA_PC); do \
  $(PKG_CONFIG) --libs $$$$p 2>/dev/null && break; done)

# The specs and the Lua programs that they start run on this wrapper of the interpreter, which loads
# the sanitizer's library; other programs do not. (glibc leaks memory when it reads LOCPATH. Without
# intercept_tls_get_addr=0 LeakSanitizer crashes if a thread-local block starts 16 bytes after the
# start of a page: it takes the preceding bytes for the header of an older glibc.)
ASAN := build/asan-$(LUA_TAG)
LIBASAN = $(call once,LIBASAN,$(CC) -print-file-name=libasan.so)
asan: ## the specs with AddressSanitizer and UBSan
	@$(CHECK_DEPS) build test $(LUA_TAG)
	@mkdir -p $(ASAN)
	@$(CC) -shared -fPIC -o $(ASAN)/preload.so .ci/preload.c
	@printf '#!/bin/sh\nunset LOCPATH\nLD_PRELOAD=%s ASAN_OPTIONS=$${ASAN_OPTIONS:-detect_leaks=1:intercept_tls_get_addr=0} exec %s "$$@"\n' \
	  '$(LIBASAN):$(CURDIR)/$(ASAN)/preload.so' '$(LUA)' >$(ASAN)/lua
	@chmod +x $(ASAN)/lua
	$(AGAIN) run-test JOBS=2 WITHOUT='$(WITHOUT) $(NO_C)' BUILD=$(ASAN) RUN_LUA=$(CURDIR)/$(ASAN)/lua \
	  SIM_BUILD=build/asan-sim SIM=build/asan-sim/bmwi-sim \
	  CFLAGS='-O1 -g -fno-omit-frame-pointer' \
	  INSTRUMENT='-fsanitize=address,undefined -fno-sanitize-recover=all'

# Each host in examples/hosts, over HTTP and TLS; HOSTS='nginx luv': only these.
hosts: ## runs inside nginx, HAProxy, Neovim, Prosody, nmap, luv and cqueues
	@$(CHECK_DEPS) build test hosts luajit $(LUA_TAG) `examples/hosts/run --luas`
	@for lua in "$(LUA)" `examples/hosts/run --luas`; do \
	  $(MAKE) --no-print-directory build-test LUA="$$lua" || exit 1; done
	@LUA="$(LUA)" examples/hosts/run $(HOSTS)

tsan: ## many Lua states in many threads, with ThreadSanitizer
	@$(CHECK_DEPS) build $(LUA_TAG)
	$(AGAIN) sim
	$(AGAIN) run-tsan BUILD=build/tsan-$(LUA_TAG) CFLAGS='-O1 -g' INSTRUMENT=-fsanitize=thread

run-tsan: $(MODULE) $(CERTS)/complete
	@$(CC) $(MODULE_FLAGS) $(LDFLAGS) -o $(BUILD)/threads spec/native/threads.c $(LUA_LIBS) $(C_LIBS)
	@$(RUN_ENV) TSAN_OPTIONS="halt_on_error=1 suppressions=.ci/tsan.supp" .ci/with-sim https \
	  $(BUILD)/threads spec/native/threads.lua 16 URL $(CERTS)/ca.pem

# For a simulator at $$0, in a shell: codes are confirmed immediately, and calls are unlimited.
CARDATA_AT_ONCE := curl -sSf -o /dev/null -d "{\"interval\":0.001}" "$$0/_sim/cardata/login" && \
  curl -sSf -o /dev/null -d "{\"quota\":1000000}" "$$0/_sim/cardata/config" || exit 1
# Every command is answered later than its client waits.
COMMANDS_LATE := curl -sSf -o /dev/null "$$0/_sim/fault" \
  -d "{\"path\":\"/executeService\",\"latency\":3,\"times\":0}" || exit 1

# Under the sanitizers, in programs that contain the module's objects.
memory: ## fails each allocation once; checks that no freed memory holds a secret
	@$(CHECK_DEPS) build $(LUA_TAG)
	$(AGAIN) sim
	$(AGAIN) run-memory BUILD=build/memory-$(LUA_TAG) CFLAGS='-O1 -g' INSTRUMENT='$(SANITIZE)'

run-memory: $(OBJ) $(CERTS)/complete
	@$(CC) $(MODULE_FLAGS) $(LDFLAGS) -o $(BUILD)/memory spec/native/memory.c $(OBJ) \
	  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free $(LUA_LIBS) $(CURL_LIBS) $(C_LIBS)
	@$(RUN_ENV) LOCPATH= .ci/with-broker .ci/with-sim http $(BUILD)/memory \
	  spec/native/memory.lua URL \
	  log-in refresh reading 'command and wait' 'refused command' 'command in a task' \
	  'charging profile' send_poi image base64 values async.map 'sleep beside a call' store \
	  'hooks in a task' 'close in flight' 'state closed in flight' mqtt
	@$(RUN_ENV) LOCPATH= .ci/with-sim http sh -c '$(CARDATA_AT_ONCE); $(COMMANDS_LATE); \
	  exec "$$@"' URL $(BUILD)/memory spec/native/memory.lua URL \
	  'cancelled command' 'CarData log-in' 'CarData subscription' 'CarData renewal' \
	  'CarData status' 'CarData history'
	@$(CC) $(MODULE_FLAGS) $(LDFLAGS) -o $(BUILD)/wiped spec/native/wiped.c $(OBJ) \
	  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free $(LUA_LIBS) $(CURL_LIBS) $(C_LIBS)
	@$(RUN_ENV) LOCPATH= .ci/with-broker .ci/with-sim http $(BUILD)/wiped spec/native/wiped.lua URL

# Specs that depend on timing or do much more work than others are marked #slow; all of
# stream_outage does.
valgrind: ## the specs under Valgrind
	@$(CHECK_DEPS) build test memcheck $(LUA_TAG)
	$(AGAIN) run-test JOBS=2 SPEC_ARGS='$(SPEC_ARGS) --exclude-tags=slow' \
	  WITHOUT='$(ANY_LUA) $(PROCESSES) stream_outage' \
	  WRAP='env -u LOCPATH valgrind -q --trace-children=no --leak-check=full \
	  --errors-for-leak-kinds=definite --show-leak-kinds=definite --error-exitcode=9'

# Variables: SOAK_SECONDS, SOAK_CARS, SOAK_SEED; SOAKS=cardata runs only that one.
SOAKS ?= soak cardata stream
soak: ## ten minutes for each service and the stream, with random faults
	@$(CHECK_DEPS) build test $(LUA_TAG)
	$(AGAIN) run-soak

run-soak: build-test
	@code=0; for soak in $(SOAKS); do \
	  $(RUN_ENV) $(LUA) spec/soak/$$soak.lua || code=1; done; exit $$code

# BMW's OpenAPI files belong to BMW, so they are not in this repository: docs/contract.md says where
# to get them. The mock server is installed below build/.
PRISM := build/contract/node_modules/.bin/prism
contract: ## against a mock server of BMW's OpenAPI file (Prism): OPENAPI=FILE
	@test -f '$(OPENAPI)' || { echo "bmwi: make contract OPENAPI=FILE: give a copy of BMW's OpenAPI \
	file; docs/contract.md says where to get it" >&2; exit 1; }
	@$(CHECK_DEPS) build test contract $(LUA_TAG)
	$(AGAIN) run-contract

run-contract: build-test $(PRISM)
	@$(RUN_ENV) spec/contract/run $(PRISM) '$(OPENAPI)'

$(PRISM):
	@mkdir -p build/contract
	npm install --prefix build/contract --no-audit --no-fund --loglevel=error @stoplight/prism-cli@5.14.2

# ROWS='one cold' measures only some groups of rows, QUICK=1 the first five rows.
bench: ## compares with libcurl and other clients; writes spec/bench/RESULTS-*.md
	@$(CHECK_DEPS) build bench lua5.4 lua5.1
	$(AGAIN) run-bench LUA=lua5.4

# With the Lua and the libcurl of Debian's lua-curl. No package for developers fits beside the other
# libcurl's, so the library is named by its file.
GNUTLS_CURL := -l:libcurl-gnutls.so.4
bench-gnutls: $(OBJ)
	@$(CC) $(LIBFLAG) $(CFLAGS) $(LDFLAGS) -o $(BUILD)/bmwi.so $(OBJ) $(GNUTLS_CURL) $(C_LIBS)

run-bench: build-test
	$(AGAIN) bench-gnutls LUA=lua5.1 LUA_INCDIR= BUILD=build/bench/gnutls
	@$(RUN_ENV) CC="$(CC)" PKG_CONFIG="$(PKG_CONFIG)" GNUTLS_CURL="$(GNUTLS_CURL)" \
	  spec/bench/run $(ROWS)

# Includes the programs started by the specs, and `make memory`. What is not
# covered, and why: .ci/uncovered.
COVERAGE := build/coverage-lua5.4
coverage: ## lines of C and Lua that the specs do not run
	@$(CHECK_DEPS) build test lua5.4
	@mkdir -p $(COVERAGE) build/coverage-sim
	@find $(COVERAGE) build/coverage-sim -name '*.gcda' -exec rm -f {} +
	@rm -rf $(COVERAGE)/lua && mkdir -p $(COVERAGE)/lua
	$(AGAIN) run-coverage LUA=lua5.4 SPEC_ARGS=--exclude-tags=slow BUILD=$(COVERAGE) \
	  CFLAGS='-O0 -g' INSTRUMENT=--coverage \
	  SIM_BUILD=build/coverage-sim SIM=build/coverage-sim/bmwi-sim

run-coverage: build-test
	@code=0; \
	LUA_INIT_5_4=@$(CURDIR)/.ci/cover.lua BMWI_COVER=$(CURDIR)/$(COVERAGE)/lua \
	  $(MAKE) --no-print-directory run-test || code=1; \
	$(MAKE) --no-print-directory run-memory || code=1; \
	$(LUA) .ci/coverage.lua $(COVERAGE)/lua luac5.4 $(COVERAGE) build/coverage-sim \
	  $(SRC) $(LOADER_SRC) $(SIM_SRC) || code=1; \
	exit $$code

gc: ## the specs with a full garbage collection at every allocation
	@$(CHECK_DEPS) build test lua5.4
	$(AGAIN) run-gc LUA=lua5.4

run-gc: build-test
	@$(RUN_ENV) LUA_INIT_5_4=@$(CURDIR)/spec/native/gc.lua \
	  .ci/each 2 build/gc '.ci/spec --exclude-tags=slow ' $(SPECS)

# Feeds bytes to every parser of external data, those in spec/fuzz/corpus first. Findings are kept
# in build/fuzz-*.
FUZZ_TARGETS := base64 redact answer token text http values mqtt cardata
FUZZ_SECONDS ?= 60
fuzz: ## the fuzzers, each for FUZZ_SECONDS=60
	@$(CHECK_DEPS) build fuzz $(LUA_TAG)
	$(AGAIN) run-fuzz BUILD=build/fuzz-$(LUA_TAG) CC=clang CFLAGS='-O1 -g' \
	  INSTRUMENT='-fsanitize=fuzzer-no-link $(SANITIZE)' FUZZ_MAIN=-fsanitize=fuzzer

fuzz-corpus: ## the fuzzers' corpus alone
	@$(CHECK_DEPS) build $(LUA_TAG)
	$(AGAIN) run-fuzz BUILD=build/corpus-$(LUA_TAG) CFLAGS='-O1 -g' INSTRUMENT='$(SANITIZE)' \
	  FUZZ_MAIN=-DREPLAY FUZZ_SECONDS=

run-fuzz: $(OBJ)
	@for t in $(FUZZ_TARGETS); do \
	  $(CC) $(MODULE_FLAGS) $(FUZZ_MAIN) $(LDFLAGS) -DTARGET=TARGET_$$t -o $(BUILD)/$$t \
	  spec/fuzz/fuzz.c $(OBJ) $(LUA_LIBS) $(CURL_LIBS) $(C_LIBS) || exit 1; done
	@$(RUN_ENV) .ci/fuzz $(BUILD) "$(FUZZ_SECONDS)" $(FUZZ_TARGETS)

lint: ## luacheck, compilers, clang-format, clang-tidy, cppcheck, the rockspec
	@$(CHECK_DEPS) build test lint lua5.4 lua5.1 luajit
	$(AGAIN) run-lint

run-lint: $(MODULE)
	@$(RUN_ENV) LUAS="lua5.4 lua5.1 luajit" PKG_CONFIG="$(PKG_CONFIG)" LIBRARIES="$(MODULE) $(CORE)" \
	  SRC="$(SRC) $(LOADER_SRC)" SIM_SRC="$(SIM_SRC)" FLAGS="$(WARNINGS) $(DEFINES)" .ci/lint
