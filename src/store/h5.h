/* What the store folder shares of HDF5: silence, opening, and closing any handle.
 *
 * HDF5 prints its error stack by default; a user of trimine reads one line, ours. So every public call here
 * silences HDF5 while it runs and restores what the caller had set. */
#ifndef TRM_STORE_H5_H
#define TRM_STORE_H5_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include <hdf5.h>
#pragma GCC diagnostic pop

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

typedef struct trm_h5_handler {
    H5E_auto2_t function;
    void *data;
} trm_h5_handler;

/* Switches HDF5's own printing off; what was set before goes to trm_h5_restore. Not collective. */
trm_h5_handler trm_h5_silence(void);
void trm_h5_restore(trm_h5_handler handler);

/* Opens for reading. Serial: this rank alone, without MPI-IO and without file locks (which network file
 * systems may refuse). Parallel: collective on comm, metadata read collectively. Negative on failure; why
 * then holds HDF5's innermost description. */
hid_t trm_h5_open_serial(const char *path, char *why, size_t size);
hid_t trm_h5_open_parallel(MPI_Comm comm, const char *path);

/* Closes any handle but a file; a negative one is fine. Not collective, but every rank has to do it. */
void trm_h5_close(hid_t handle);

/* A transfer property list that asks for collective I/O. */
hid_t trm_h5_collective(void);

/* Selects rows [first, first + count) of a dataspace with one or two dimensions (none for a count of 0), and
 * makes the dense memory space that fits. Negative on failure. */
hid_t trm_h5_select_rows(hid_t file_space, int64_t first, int64_t count, int64_t width);

#endif
