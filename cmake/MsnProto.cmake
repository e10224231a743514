# SPDX-License-Identifier: Apache-2.0
# Code from .proto files, generated in the build tree.
#
# msn_proto_library(<name> <file>.proto... [DEPS <name>...]): protobuf-c code
# of these files as the component msn_<name>.  Include as
# "<path of the file>.pb-c.h".
#
# msn_descriptors(<name> <file>.proto...): the serialised FileDescriptorSet of
# these files and of all that they import, <build>/proto/<name>.binpb, and a
# library msn_<name> that holds its bytes.  Imports that may change are named too.
#
# A file is named by its path below proto/, or below the folders where Debian
# keeps those of protobuf and gRPC.
#
# protoc with its plugin, since protoc-c as a program of its own is deprecated.
find_program(PROTOC protoc REQUIRED)
find_program(PROTOC_GEN_C protoc-gen-c REQUIRED)
find_path(PROTOBUF_PROTO_DIR google/protobuf/any.proto REQUIRED)
find_path(GRPC_PROTO_DIR grpc/health/v1/health.proto
	PATHS /usr/share/grpc-proto REQUIRED)
set(MSN_PROTO_DIRS ${PROJECT_SOURCE_DIR}/proto ${PROTOBUF_PROTO_DIR}
	${GRPC_PROTO_DIR})
set(MSN_PROTO_OUT ${PROJECT_BINARY_DIR}/proto)
list(TRANSFORM MSN_PROTO_DIRS PREPEND "-I" OUTPUT_VARIABLE MSN_PROTO_FLAGS)

function(msn_proto_library NAME)
	cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
	set(GENERATED)
	foreach(FILE ${ARG_UNPARSED_ARGUMENTS})
		string(REGEX REPLACE "\\.proto$" ".pb-c" BASE ${FILE})
		set(BASE ${MSN_PROTO_OUT}/${BASE})
		find_file(SOURCE ${FILE} PATHS ${MSN_PROTO_DIRS}
			NO_DEFAULT_PATH NO_CACHE REQUIRED)
		add_custom_command(OUTPUT ${BASE}.c ${BASE}.h
			COMMAND ${PROTOC} --plugin=protoc-gen-c=${PROTOC_GEN_C}
				--c_out=${MSN_PROTO_OUT}
				--dependency_out=${BASE}.d
				${MSN_PROTO_FLAGS} ${FILE}
			DEPENDS ${SOURCE} DEPFILE ${BASE}.d VERBATIM)
		unset(SOURCE)
		list(APPEND GENERATED ${BASE}.c)
	endforeach()
	add_library(msn_${NAME} STATIC ${GENERATED})
	target_include_directories(msn_${NAME} SYSTEM PUBLIC ${MSN_PROTO_OUT})
	target_link_libraries(msn_${NAME} PUBLIC PkgConfig::PROTOBUF_C)
	foreach(DEP ${ARG_DEPS})
		target_link_libraries(msn_${NAME} PUBLIC msn_${DEP})
	endforeach()
	foreach(S ${MSN_SANITIZE})
		target_compile_options(msn_${NAME} PRIVATE -fsanitize=${S})
	endforeach()
endfunction()

function(msn_descriptors NAME)
	set(SET ${MSN_PROTO_OUT}/${NAME}.binpb)
	set(EMBED_IN ${PROJECT_SOURCE_DIR}/proto/descriptors/embed.c.in)
	set(EMBED ${MSN_PROTO_OUT}/${NAME}.c)
	set(SOURCES)
	foreach(FILE ${ARGN})
		find_file(SOURCE ${FILE} PATHS ${MSN_PROTO_DIRS}
			NO_DEFAULT_PATH NO_CACHE REQUIRED)
		list(APPEND SOURCES ${SOURCE})
		unset(SOURCE)
	endforeach()
	add_custom_command(OUTPUT ${SET}
		COMMAND ${PROTOC} --include_imports --descriptor_set_out=${SET}
			${MSN_PROTO_FLAGS} ${ARGN}
		DEPENDS ${SOURCES} VERBATIM)
	configure_file(${EMBED_IN} ${EMBED} @ONLY)
	set_source_files_properties(${EMBED} PROPERTIES OBJECT_DEPENDS ${SET})
	add_library(msn_${NAME} STATIC ${EMBED})
	msn_target_options(msn_${NAME})
	target_include_directories(msn_${NAME} PUBLIC
		${PROJECT_SOURCE_DIR}/proto)
endfunction()
