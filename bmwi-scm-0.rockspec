rockspec_format = "3.0"
package = "bmwi"
version = "scm-0"
-- The only place with the project's address. It has none yet: whoever publishes it fills it in.
source = {
  url = "git+https://bmwi.example.invalid/bmwi.git",
}
description = {
  summary = "BMW i remote service: read a car's status, trips and battery, and send it commands",
  detailed = [[
bmwi lets a Lua script talk to a BMW i car: log in, list vehicles, read status, trips, charging
profile, destinations, range map and battery data, send commands and wait until the car has done
them. It comes with a simulator of the service and with a command line.]],
  license = "MIT",
  labels = { "bmw", "car", "http", "api" },
}
supported_platforms = { "unix" } -- that is, no Windows
-- No upper bound: a new Lua should not have to wait for a new rock.
dependencies = { "lua >= 5.1", "lua-cjson >= 2.1.0" }
-- Never header = "...": LuaRocks does not look into the folder where Debian keeps it.
external_dependencies = { CURL = { library = "curl" } }
build = {
  type = "builtin",
  modules = {
    bmwi = {
      -- The list of the Makefile (SRC).
      sources = {
        "csrc/binding/answer.c", "csrc/binding/auth_error.c", "csrc/binding/await.c",
        "csrc/binding/bmwi.c", "csrc/binding/car.c", "csrc/binding/client.c",
        "csrc/binding/fail.c", "csrc/binding/fields.c", "csrc/binding/hooks.c",
        "csrc/binding/json.c", "csrc/binding/kept.c", "csrc/binding/loop.c",
        "csrc/binding/methods.c", "csrc/binding/mqtt.c", "csrc/binding/options.c",
        "csrc/binding/request.c", "csrc/binding/schema.c", "csrc/binding/sys.c",
        "csrc/binding/values.c", "csrc/binding/values_status.c", "csrc/core/account.c",
        "csrc/core/attempt.c", "csrc/core/base64.c", "csrc/core/buffer.c",
        "csrc/core/connection.c", "csrc/core/device.c", "csrc/core/engine.c",
        "csrc/core/guard.c", "csrc/core/handle.c", "csrc/core/mqtt.c", "csrc/core/oauth.c",
        "csrc/core/op.c", "csrc/core/poll.c", "csrc/core/redact.c", "csrc/core/session.c",
        "csrc/core/sha256.c", "csrc/core/stream.c", "csrc/core/timers.c",
        "csrc/core/transfer.c", "csrc/core/transport.c", "csrc/core/url.c",
        "csrc/core/verdict.c", "csrc/core/word.c", "csrc/service/cardata.c",
        "csrc/service/cardata_fields.c", "csrc/service/cardata_values.c",
        "csrc/service/classic.c", "csrc/service/service.c",
      },
      defines = { "_POSIX_C_SOURCE=200809L", "_DEFAULT_SOURCE", "_DARWIN_C_SOURCE" },
      -- Beside libcurl the parts of the C library (C_LIBS of the Makefile).
      libraries = { "curl", "pthread", "dl", "m" },
      incdirs = { "csrc", "$(CURL_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)" },
    },
    ["bmwi._check"] = "lua/bmwi/_check.lua",
    ["bmwi._finalizer"] = "lua/bmwi/_finalizer.lua",
    ["bmwi._names"] = "lua/bmwi/_names.lua",
    ["bmwi._svg"] = "lua/bmwi/_svg.lua",
    ["bmwi._text"] = "lua/bmwi/_text.lua",
    ["bmwi.async"] = "lua/bmwi/async.lua",
    ["bmwi.bridge.homeassistant"] = "lua/bmwi/bridge/homeassistant.lua",
    ["bmwi.bridge.members"] = "lua/bmwi/bridge/members.lua",
    ["bmwi.bridge.prometheus"] = "lua/bmwi/bridge/prometheus.lua",
    ["bmwi.bridge.publisher"] = "lua/bmwi/bridge/publisher.lua",
    ["bmwi.bridge.source"] = "lua/bmwi/bridge/source.lua",
    ["bmwi.bridge.topics"] = "lua/bmwi/bridge/topics.lua",
    ["bmwi.cardata"] = "lua/bmwi/cardata.lua",
    ["bmwi.cardata.call"] = "lua/bmwi/cardata/call.lua",
    ["bmwi.cardata.containers"] = "lua/bmwi/cardata/containers.lua",
    ["bmwi.cardata.history"] = "lua/bmwi/cardata/history.lua",
    ["bmwi.cardata.live"] = "lua/bmwi/cardata/live.lua",
    ["bmwi.cardata.status"] = "lua/bmwi/cardata/status.lua",
    ["bmwi.cardata.stream"] = "lua/bmwi/cardata/stream.lua",
    ["bmwi.cardata.stream_hub"] = "lua/bmwi/cardata/stream_hub.lua",
    ["bmwi.cardata.stream_message"] = "lua/bmwi/cardata/stream_message.lua",
    ["bmwi.cardata.stream_queue"] = "lua/bmwi/cardata/stream_queue.lua",
    ["bmwi.cardata.stream_schedule"] = "lua/bmwi/cardata/stream_schedule.lua",
    ["bmwi.cardata.stream_times"] = "lua/bmwi/cardata/stream_times.lua",
    ["bmwi.chart"] = "lua/bmwi/chart.lua",
    ["bmwi.cli"] = "lua/bmwi/cli.lua",
    ["bmwi.cli.act"] = "lua/bmwi/cli/act.lua",
    ["bmwi.cli.anonymous"] = "lua/bmwi/cli/anonymous.lua",
    ["bmwi.cli.args"] = "lua/bmwi/cli/args.lua",
    ["bmwi.cli.cardata"] = "lua/bmwi/cli/cardata.lua",
    ["bmwi.cli.cardata_doctor"] = "lua/bmwi/cli/cardata_doctor.lua",
    ["bmwi.cli.cardata_views"] = "lua/bmwi/cli/cardata_views.lua",
    ["bmwi.cli.checks"] = "lua/bmwi/cli/checks.lua",
    ["bmwi.cli.commands"] = "lua/bmwi/cli/commands.lua",
    ["bmwi.cli.config"] = "lua/bmwi/cli/config.lua",
    ["bmwi.cli.demo"] = "lua/bmwi/cli/demo.lua",
    ["bmwi.cli.doctor"] = "lua/bmwi/cli/doctor.lua",
    ["bmwi.cli.fail"] = "lua/bmwi/cli/fail.lua",
    ["bmwi.cli.help"] = "lua/bmwi/cli/help.lua",
    ["bmwi.cli.layout"] = "lua/bmwi/cli/layout.lua",
    ["bmwi.cli.man"] = "lua/bmwi/cli/man.lua",
    ["bmwi.cli.output"] = "lua/bmwi/cli/output.lua",
    ["bmwi.cli.programs"] = "lua/bmwi/cli/programs.lua",
    ["bmwi.cli.prompt"] = "lua/bmwi/cli/prompt.lua",
    ["bmwi.cli.read"] = "lua/bmwi/cli/read.lua",
    ["bmwi.cli.record"] = "lua/bmwi/cli/record.lua",
    ["bmwi.cli.render"] = "lua/bmwi/cli/render.lua",
    ["bmwi.cli.session"] = "lua/bmwi/cli/session.lua",
    ["bmwi.cli.shell"] = "lua/bmwi/cli/shell.lua",
    ["bmwi.cli.views"] = "lua/bmwi/cli/views.lua",
    ["bmwi.config"] = "lua/bmwi/config.lua",
    ["bmwi.geo"] = "lua/bmwi/geo.lua",
    ["bmwi.geo.geojson"] = "lua/bmwi/geo/geojson.lua",
    ["bmwi.geo.kml"] = "lua/bmwi/geo/kml.lua",
    ["bmwi.geo.reading"] = "lua/bmwi/geo/reading.lua",
    ["bmwi.geo.shapes"] = "lua/bmwi/geo/shapes.lua",
    ["bmwi.geo.sphere"] = "lua/bmwi/geo/sphere.lua",
    ["bmwi.geo.svg"] = "lua/bmwi/geo/svg.lua",
    ["bmwi.geo.xml"] = "lua/bmwi/geo/xml.lua",
    ["bmwi.host"] = "lua/bmwi/host.lua",
    ["bmwi.navigation"] = "lua/bmwi/navigation.lua",
    ["bmwi.store"] = "lua/bmwi/store.lua",
    ["bmwi.store.account"] = "lua/bmwi/store/account.lua",
    ["bmwi.store.change"] = "lua/bmwi/store/change.lua",
    ["bmwi.store.form"] = "lua/bmwi/store/form.lua",
    ["bmwi.store.limits"] = "lua/bmwi/store/limits.lua",
    ["bmwi.store.place"] = "lua/bmwi/store/place.lua",
    ["bmwi.time"] = "lua/bmwi/time.lua",
    ["bmwi.units"] = "lua/bmwi/units.lua",
    ["bmwi.wait"] = "lua/bmwi/wait.lua",
    -- For editors; nothing requires them.
    ["bmwi.types.answers"] = "types/answers.lua",
    ["bmwi.types.bmwi"] = "types/bmwi.lua",
    ["bmwi.units"] = "lua/bmwi/units.lua",
    ["bmwi.wait"] = "lua/bmwi/wait.lua",
  },
  install = { bin = { bmwi = "bin/bmwi" } },
}
test = { type = "command", command = "make test" }
