/*
 * Access: what may be done, or is to be done, with a page.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_RANGE_ACCESS_H
#define MSN_RANGE_ACCESS_H

enum msn_access {
	MSN_ACCESS_NONE = 0,
	MSN_ACCESS_READ = 1 << 0,
	MSN_ACCESS_WRITE = 1 << 1,
	MSN_ACCESS_EXEC = 1 << 2,
	MSN_ACCESS_ANY = 7,
};

/* On x86-64 a page that can be written or executed can be read too. */
static inline unsigned msn_access_effective(unsigned access)
{
	return access & (MSN_ACCESS_WRITE | MSN_ACCESS_EXEC)
		       ? access | MSN_ACCESS_READ
		       : access;
}

#endif /* MSN_RANGE_ACCESS_H */
