/*
 * Tables: every method of the API.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rpc/rpc.h"

#include <stddef.h>

const struct msn_method *const msn_rpc_tables[] = {
	msn_rpc_space,	   msn_rpc_mapping, msn_rpc_memory, msn_rpc_event,
	msn_rpc_operation, msn_rpc_admin,   NULL,
};
