/*
 * What health and reflection share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_STANDARD_STANDARD_PRIVATE_H
#define MSN_STANDARD_STANDARD_PRIVATE_H

#include "standard/standard.h"

/* Services of one server, and their names: three times what there is. */
#define STANDARD_SERVICES_MAX 32
#define STANDARD_NAME_MAX 96

struct health_service {
	char name[STANDARD_NAME_MAX];
	bool serves;
};

#endif /* MSN_STANDARD_STANDARD_PRIVATE_H */
