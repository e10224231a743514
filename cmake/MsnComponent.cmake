# SPDX-License-Identifier: Apache-2.0
# msn_component(<name> SOURCES <file>... [DEPS <component>...] [LIBS <lib>...])
#
# One component: the folder this is called from becomes a static library
# msn_<name> that sees only the components in DEPS.  The list is written once,
# here; the linker holds the C files to it (a test program links a component
# and its DEPS, nothing else) and tests/lint/floors.py holds the #include lines
# to it.  LIBS are libraries from outside; only this component sees them.
function(msn_component NAME)
	cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBS" ${ARGN})
	get_filename_component(HALF ${CMAKE_CURRENT_SOURCE_DIR} DIRECTORY)
	add_library(msn_${NAME} STATIC ${ARG_SOURCES})
	msn_target_options(msn_${NAME})
	target_include_directories(msn_${NAME} PUBLIC ${HALF})
	foreach(DEP ${ARG_DEPS})
		target_link_libraries(msn_${NAME} PUBLIC msn_${DEP})
	endforeach()
	foreach(LIB ${ARG_LIBS})
		target_link_libraries(msn_${NAME} PRIVATE ${LIB})
	endforeach()
	string(REPLACE ";" " " DEPS "${ARG_DEPS}")
	set_property(GLOBAL APPEND_STRING PROPERTY MSN_FLOORS
		"${NAME} ${CMAKE_CURRENT_SOURCE_DIR}: ${DEPS}\n")
endfunction()

# msn_test(<path>.c COMPONENTS <component>... [LABELS <label>...]
#          [SOURCES <file>...] [TIMEOUT <seconds>])
#
# One test program: links only what it names.
function(msn_test SOURCE)
	cmake_parse_arguments(ARG "" "TIMEOUT" "COMPONENTS;LABELS;SOURCES" ${ARGN})
	get_filename_component(NAME ${SOURCE} NAME_WE)
	add_executable(${NAME} ${SOURCE} ${ARG_SOURCES})
	msn_target_options(${NAME})
	target_link_libraries(${NAME} PRIVATE msn_check)
	foreach(C ${ARG_COMPONENTS})
		target_link_libraries(${NAME} PRIVATE msn_${C})
	endforeach()
	if(NOT ARG_TIMEOUT)
		set(ARG_TIMEOUT 120)
	endif()
	add_test(NAME ${NAME} COMMAND ${NAME})
	set_tests_properties(${NAME} PROPERTIES LABELS "${ARG_LABELS}"
		TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()
