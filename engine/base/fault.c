/*
 * Fault points.  State is per thread so that parallel tests do not meet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"

#include <stddef.h>

#ifdef MSN_FAULTS
static _Thread_local unsigned left;
static _Thread_local const char *fired;

bool msn_fault(const char *name)
{
	if (left == 0 || --left > 0)
		return false;
	fired = name;
	return true;
}

void msn_fault_arm(unsigned nth)
{
	left = nth;
	fired = NULL;
}

const char *msn_fault_fired(void)
{
	return fired;
}
#endif
