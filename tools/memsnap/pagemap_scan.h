/*
 * Pagemap scan: where a process has pages.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The PAGEMAP_SCAN call of Linux 6.7 and later.
 */
#ifndef MSN_TOOLS_PAGEMAP_SCAN_H
#define MSN_TOOLS_PAGEMAP_SCAN_H

#include "range/range.h"

/*
 * The first run inside @r with pages in memory or in swap; an empty range at
 * r.end if there is none; all of @r where the kernel cannot tell.
 */
struct msn_addr_range msn_pagemap_first(int pagemap_fd,
					struct msn_addr_range r);

/* 0 if this kernel knows the call, else a negated errno. */
int msn_pagemap_probe(void);

#endif /* MSN_TOOLS_PAGEMAP_SCAN_H */
