# SPDX-License-Identifier: Apache-2.0
# Finds LMDB, whose Debian package has a pkg-config file only in later
# releases.  Defines the target Lmdb::Lmdb.
find_path(LMDB_INCLUDE_DIR lmdb.h)
find_library(LMDB_LIBRARY NAMES lmdb)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Lmdb REQUIRED_VARS LMDB_LIBRARY LMDB_INCLUDE_DIR)
if(Lmdb_FOUND AND NOT TARGET Lmdb::Lmdb)
	add_library(Lmdb::Lmdb UNKNOWN IMPORTED)
	set_target_properties(Lmdb::Lmdb PROPERTIES
		IMPORTED_LOCATION ${LMDB_LIBRARY}
		INTERFACE_INCLUDE_DIRECTORIES ${LMDB_INCLUDE_DIR})
endif()
