/*
 * Platform `none`: no page tables.  Placements are only remembered by mm, and
 * every access is a copy in or out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "platform/address_space.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

/* Everything but the last page; the layout of mm is narrower. */
#define NONE_MIN UINT64_C(0)
#define NONE_MAX (UINT64_MAX - (UINT64_C(1) << 12) + 1)

static int none_map_file(struct msn_address_space *as,
			 const struct msn_as_mapping *m)
{
	(void)as;
	(void)m;
	return 0;
}

static void none_unmap(struct msn_address_space *as, struct msn_addr_range ar)
{
	(void)as;
	(void)ar;
}

static int none_protect(struct msn_address_space *as, struct msn_addr_range ar,
			unsigned perms)
{
	(void)as;
	(void)ar;
	(void)perms;
	return 0;
}

static void none_free(struct msn_address_space *as)
{
	free(as);
}

static const struct msn_address_space_ops none_ops = {
	.name = "none",
	.map_file = none_map_file,
	.unmap = none_unmap,
	.protect = none_protect,
	.free = none_free,
};

int msn_platform_none_new(struct msn_address_space **out)
{
	struct msn_address_space *as = msn_alloc(sizeof(*as));

	if (!as)
		return msn_fail(-ENOMEM);
	as->ops = &none_ops;
	as->region = (struct msn_addr_range){ NONE_MIN, NONE_MAX };
	*out = as;
	return 0;
}
