PKG_NAME=bmwi
CLIB_CFLAGS=-std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -Icsrc -fvisibility=hidden
CLIB_LDFLAGS=-lcurl -lm
CLIB_LDFLAGS_STATIC=-lcurl -lm
CLIB_OBJS=$(patsubst %.c,%.lo,$(wildcard csrc/binding/*.c csrc/core/*.c csrc/service/*.c))
LUA_SOURCES=$(wildcard lua/bmwi/*.lua lua/bmwi/*/*.lua types/*.lua)
LUA_SOURCES_MANGLER=sed -e s?^lua/?? -e s?^types/?bmwi/types/?
LUA_MODNAME=bmwi
VERSION_INFO=0:0:0
PKG_LIBS_PRIVATE=-lcurl
