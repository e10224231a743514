/*
 * View: the buffers of a look.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "oracle/side.h"

#include <stdlib.h>

void view_free(struct view *v)
{
	free(v->text);
	free(v->pages);
	free(v->bytes);
	*v = (struct view){ 0 };
}

void view_add_page(struct view *v, uint64_t addr, uint64_t bits)
{
	if (msn_grow((void **)&v->pages, &v->cap, v->count, sizeof(*v->pages)))
		die("no memory");
	v->pages[v->count++] = (struct page){ addr, bits };
}

void view_reserve_bytes(struct view *v)
{
	if (v->count * 4096 <= v->bytes_cap)
		return;
	v->bytes_cap = v->count * 4096 * 2;
	free(v->bytes);
	v->bytes = msn_alloc(v->bytes_cap);
	if (!v->bytes)
		die("no memory");
}
