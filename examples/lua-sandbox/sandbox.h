/*
 * Sandbox: one Lua state whose whole memory is a memsnap space.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The state may hold pointers to its own memory, which comes back at the same
 * addresses, and to functions and constants of this program, which is linked at
 * a fixed address (-no-pie, stock static liblua).  It may hold none to anything
 * else: a shared library is somewhere else in the next process.  So only Lua's
 * base, coroutine, table, string, math and utf8 libraries are there, and a
 * snapshot remembers the build-id of the program that made it.
 *
 * Being a small program, it does not return errors: it says one line and exits.
 */
#ifndef LUA_SANDBOX_SANDBOX_H
#define LUA_SANDBOX_SANDBOX_H

#include "heap.h"

#include <lua.h>
#include <memsnap/memsnap.h>
#include <stddef.h>
#include <stdint.h>

/* Where the memory is in every process: far from what Linux places itself. */
#define SANDBOX_BASE UINT64_C(0x200000000000)

/* How far it may grow.  What is not touched costs nothing. */
#define SANDBOX_BYTES ((size_t)16 << 30)

struct sandbox {
	struct memsnap_space *space;
	struct heap *heap;
	lua_State *L;
};

/* Says "lua-sandbox: ..." on standard error and exits with 1. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...);

/* Exits with the text of a failure if @rc is one. */
void must(int rc, const struct memsnap_error *err);

struct memsnap_store *sandbox_store(const char *path, uint32_t flags);

/* A new, empty Lua state. */
void sandbox_make(struct sandbox *s);

/* The one that @image holds, as a clone of it. */
void sandbox_restore(struct sandbox *s, struct memsnap_image *image);

void sandbox_destroy(struct sandbox *s);

/*
 * Runs the script of that path with the arguments @what (NULL: none) and @id.
 * Returns 0, or -1 with the error printed.
 */
int sandbox_run(struct sandbox *s, const char *script, const char *what,
		lua_Integer id);

/* Saves as @name and prints what was stored. */
void sandbox_save(struct sandbox *s, struct memsnap_store *store,
		  const char *name);

/* A checksum over every byte that the heap uses. */
uint64_t sandbox_checksum(const struct sandbox *s);

/* The clones command; see clones.c. */
int sandbox_clones(const char *path, const char *ref, const char *script,
		   unsigned count);

/* Seconds of a clock that only goes forward. */
double seconds(void);

double mib(uint64_t bytes);

#endif /* LUA_SANDBOX_SANDBOX_H */
