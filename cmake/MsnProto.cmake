# SPDX-License-Identifier: Apache-2.0
# msn_proto_library(<name> <file>.proto...): protobuf-c code of these files,
# generated in the build tree and compiled into the component msn_<name>.
# Include as "<path below proto/>.pb-c.h".
find_program(PROTOC_C protoc-c REQUIRED)

function(msn_proto_library NAME)
	set(OUT ${CMAKE_CURRENT_BINARY_DIR})
	set(GENERATED)
	foreach(FILE ${ARGN})
		string(REGEX REPLACE "\\.proto$" ".pb-c" BASE ${FILE})
		add_custom_command(
			OUTPUT ${OUT}/${BASE}.c ${OUT}/${BASE}.h
			COMMAND ${PROTOC_C} --c_out=${OUT}
				-I ${CMAKE_CURRENT_SOURCE_DIR}
				${CMAKE_CURRENT_SOURCE_DIR}/${FILE}
			DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${FILE}
			VERBATIM)
		list(APPEND GENERATED ${OUT}/${BASE}.c)
	endforeach()
	add_library(msn_${NAME} STATIC ${GENERATED})
	target_include_directories(msn_${NAME} SYSTEM PUBLIC ${OUT})
	target_link_libraries(msn_${NAME} PUBLIC PkgConfig::PROTOBUF_C)
	foreach(S ${MSN_SANITIZE})
		target_compile_options(msn_${NAME} PRIVATE -fsanitize=${S})
	endforeach()
endfunction()
