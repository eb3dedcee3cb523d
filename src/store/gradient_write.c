/* Array data in result files: gradients, histograms, triplets of batches; beside triplets of a store or alone.
 *
 * The rows are in the caller's memory already and stay where they are: every rank writes its own part. */
#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/loss_files.h"
#include "store/output.h"

#include <inttypes.h>
#include <string.h>

static const int64_t too_many = INT64_MAX / 2;

/* Items a row and values an item of an array. */
static int64_t items_of(const trm_output_array *array)
{
    return array->rank == 3 ? array->size[1] : 1;
}

static int64_t width_of(const trm_output_array *array)
{
    return array->rank == 1 ? 1 : array->size[array->rank - 1];
}

static hid_t type_of(const trm_output_array *array)
{
    return array->type == TRM_ARRAY_INT64     ? H5T_STD_I64LE
           : array->type == TRM_ARRAY_FLOAT64 ? H5T_IEEE_F64LE
           : array->type == TRM_ARRAY_UINT8   ? H5T_STD_U8LE
                                              : H5T_IEEE_F32LE;
}

int64_t trm_output_arrays_bytes(int arrays, const trm_output_array *array)
{
    int64_t bytes = 0;
    for (int a = 0; a < arrays; a++) {
        int64_t more = array[a].type == TRM_ARRAY_UINT8 ? 1 : array[a].type == TRM_ARRAY_FLOAT32 ? 4 : 8;
        bool over = false;
        for (int d = 0; d < array[a].rank; d++)
            over = __builtin_mul_overflow(more, array[a].size[d], &more) || over;
        if (over || more > too_many - bytes)
            return too_many;
        bytes += more;
    }
    return bytes;
}

/* The parts are within the array and as long as it; that they do not overlap is the caller's word. */
static trm_status check_parts(const trm_output *out, const trm_output_array *array, trm_error *err)
{
    trm_status status = TRM_OK;
    const int64_t rows = array->size[0], covered = trm_sum_int64(out->comm, array->count);
    if (array->rank < 1 || array->rank > 3)
        status = trm_fail(err, TRM_ERR_INTERNAL, "output '%s': dataset '%s' has %d dimensions, needs 1 to 3",
                          out->draft.claim->path, array->name, array->rank);
    else if (array->count < 0 || array->first < 0 || array->first > rows - array->count || covered != rows)
        status = trm_fail(err, TRM_ERR_INTERNAL,
                          "output '%s': dataset '%s' has %" PRId64 " rows, given are %" PRId64
                          ", of this rank %" PRId64 " from row %" PRId64 " on",
                          out->draft.claim->path, array->name, rows, covered, array->count, array->first);
    return trm_agree(out->comm, status, err);
}

/* Makes the groups that a dataset's path goes through, where they are not there yet. */
static trm_status make_groups(trm_output *out, const char *name, trm_error *err)
{
    trm_status status = TRM_OK;
    for (const char *slash = strchr(name + 1, '/'); slash != NULL && status == TRM_OK;
         slash = strchr(slash + 1, '/')) {
        char *path = trm_format("%.*s", (int)(slash - name), name);
        if (path == NULL)
            status = trm_fail_memory(err, "the name of a group", slash - name, 1);
        status = trm_agree(out->comm, status, err);
        if (status == TRM_OK)
            status = trm_output_group(out, path, err);
        trm_free(path);
    }
    return status;
}

trm_status trm_output_array_make(trm_output *out, const trm_output_array *array, trm_output_place *place,
                                 trm_error *err)
{
    hsize_t size[3] = {0, 0, 0};
    trm_status status = make_groups(out, array->name, err);
    if (status != TRM_OK)
        return status;
    for (int d = 0; d < array->rank; d++)
        size[d] = (hsize_t)array->size[d];
    status = trm_output_dataset(out, array->name, type_of(array), array->rank, size, place, err);
    return status == TRM_OK && array->about != NULL
               ? trm_output_attribute(out, array->name, array->about, err)
               : status;
}

static trm_status write_array(trm_output *out, const trm_output_array *array, trm_error *err)
{
    trm_output_place place;
    trm_status status = check_parts(out, array, err);
    if (status == TRM_OK)
        status = trm_output_array_make(out, array, &place, err);
    if (status != TRM_OK)
        return status;
    const int64_t row = items_of(array) * width_of(array);
    return trm_agree(out->comm,
                     trm_output_write(out, place, array->first * row, array->count * row, array->data, err),
                     err);
}

trm_status trm_output_arrays_write(trm_output *out, int arrays, const trm_output_array *array, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int a = 0; a < arrays && status == TRM_OK; a++)
        status = write_array(out, &array[a], err);
    return status;
}

trm_status trm_output_arrays_commit(trm_output *out, int items, const trm_output_check_item *item, int arrays,
                                    const trm_output_array *array, const trm_names *names, int attributes,
                                    const trm_attribute *attribute, trm_error *err)
{
    static const char label_names[] = "/label_names";
    int count = 0;
    trm_output_check_item *all = trm_alloc((int64_t)items + arrays + 1, sizeof *all);
    trm_status status = TRM_OK;
    if (all == NULL)
        status = trm_fail_memory(err, "names of datasets", (int64_t)items + arrays + 1, sizeof *all);
    status = trm_agree(out->comm, status, err);
    if (status == TRM_OK)
        status = trm_output_names(out, label_names, names, err);
    if (status == TRM_OK) {
        for (int i = 0; i < items; i++)
            all[count++] = item[i];
        for (int a = 0; a < arrays; a++)
            all[count++] = (trm_output_check_item){array[a].name, array[a].size[0]};
        if (names != NULL)
            all[count++] = (trm_output_check_item){label_names, names->count};
        status = trm_output_commit(out, attributes, attribute, count, all, err);
    }
    trm_free(all);
    return status;
}

trm_status trm_gradient_write(MPI_Comm comm, trm_claim *claim, int arrays, const trm_output_array *array,
                              const trm_names *names, int attributes, const trm_attribute *attribute,
                              trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    err = err == NULL ? &own : err;
    trm_h5_handler handler = trm_h5_silence();
    trm_output out = TRM_OUTPUT_INIT;
    trm_status status = trm_output_create(
        comm, claim, trm_output_arrays_bytes(arrays, array) + trm_output_names_bytes(names), &out, err);
    if (status == TRM_OK)
        status = trm_output_arrays_write(&out, arrays, array, err);
    if (status == TRM_OK)
        status = trm_output_arrays_commit(&out, 0, NULL, arrays, array, names, attributes, attribute, err);
    trm_output_close(&out);
    trm_h5_restore(handler);
    return status;
}
