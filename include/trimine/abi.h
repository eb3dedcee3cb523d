/* What programs that were compiled with an earlier header may rely on. Needs nothing.
 *
 * The shared library exports the functions that are marked TRM_API, and no other.
 *
 * Structs of options begin with their size. Their ..._init function comes first: it sets the size, as the
 * program's header has it, and the defaults. New members are only added at the end, so a library that knows more
 * of them finds out by the size which ones a program does not know, and takes the defaults of those. A function
 * that gets a struct with a size of 0, or a larger one than the library knows, refuses it: USAGE.
 *
 * ..._init is compiled into the program. What it calls, ..._init_sized, is there for other languages too: it gets
 * the sizes of the caller's struct, and of the structs of options in that. */
#ifndef TRIMINE_ABI_H
#define TRIMINE_ABI_H

#define TRM_API __attribute__((visibility("default")))

#endif
