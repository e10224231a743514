/*
 * Role: what a caller may do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_WIRE_ROLE_H
#define MSN_WIRE_ROLE_H

#include <stddef.h>

/* Each includes those before it. */
enum msn_role {
	MSN_ROLE_NONE = 0, /* only methods that need none: health, reflection */
	MSN_ROLE_READ,
	MSN_ROLE_OPERATE,
	MSN_ROLE_ADMIN,
};

/* "none", "read", "operate", "admin"; NULL past the last. */
static inline const char *msn_role_name(enum msn_role role)
{
	static const char *const names[] = {
		[MSN_ROLE_NONE] = "none",
		[MSN_ROLE_READ] = "read",
		[MSN_ROLE_OPERATE] = "operate",
		[MSN_ROLE_ADMIN] = "admin",
	};

	return role < sizeof(names) / sizeof(names[0]) ? names[role] : NULL;
}

#endif /* MSN_WIRE_ROLE_H */
