/*
 * Heap: a memory allocator that lives wholly in the memory it hands out.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Made for Lua and for snapshots.  Everything the allocator knows (free lists,
 * how far it has grown) stands at the beginning of its memory, so that saving
 * the memory saves the allocator, and a restored heap goes on where it was.
 * Addresses are stored as they are: the memory must come back at the same
 * place.
 *
 *    base      +---------------------------------------------+
 *              | struct heap: lists, top, end                |
 *              +---------------------------------------------+
 *              | blocks, each behind a 16-byte tag           |
 *              |   some are slabs of small pieces of a size  |
 *    top       +---------------------------------------------+
 *              | never used yet: costs nothing               |
 *    end       +---------------------------------------------+
 *
 * Pieces of up to 512 bytes have no tag: Lua says their size when it frees
 * them.  Their slabs stay slabs for ever.  Larger blocks are joined with their
 * free neighbours.
 *
 * One thread.
 */
#ifndef LUA_SANDBOX_HEAP_H
#define LUA_SANDBOX_HEAP_H

#include <stddef.h>

struct heap;

/*
 * Makes a heap in @size bytes of zeroed memory at @base, 16-byte aligned and
 * at least 1 MiB.  The memory may be sparse: it is used from the bottom.
 */
struct heap *heap_make(void *base, size_t size);

/* The heap that heap_make() made at @base, or NULL if there is none. */
struct heap *heap_at(void *base);

/* A lua_Alloc; @heap is the struct heap.  Making smaller never fails. */
void *heap_alloc(void *heap, void *ptr, size_t old_size, size_t size);

/* Bytes from the base to the top, and those of them that are in use. */
size_t heap_used(const struct heap *heap);
size_t heap_live(const struct heap *heap);

/* Walks every block and list: text of the first thing wrong, or NULL. */
const char *heap_check(const struct heap *heap);

#endif /* LUA_SANDBOX_HEAP_H */
