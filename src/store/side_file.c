/* Labels and ids in files of their own, one for each row of one path or of all paths of a set; and what else a survey needs
 * (survey.h). */
#include "base/alloc.h"
#include "store/claim.h"
#include "store/first_bytes.h"
#include "store/survey.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int64_t trm_survey_keep(trm_survey *found, const char *lead, const char *text)
{
    int64_t need = (int64_t)(strlen(lead) + strlen(text)) + 1;
    if (found->used + need > found->size) {
        int64_t size = 2 * found->size + need;
        char *larger = trm_grown(found->names, found->used, size, 1);
        if (larger == NULL)
            return -1;
        found->names = larger;
        found->size = size;
    }
    int64_t at = found->used;
    snprintf(found->names + at, (size_t)need, "%s%s", lead, text);
    found->used += need;
    return at;
}

const trm_store_entry *trm_survey_first(const trm_survey *found)
{
    for (int i = 0; i < found->files; i++)
        if (found->entry[i].seen.rows > 0)
            return &found->entry[i];
    return NULL;
}

bool trm_sides_any(const trm_survey *found, trm_side_kind kind)
{
    for (int s = 0; s < found->sides; s++)
        if (found->side[s].kind == kind)
            return true;
    return false;
}

/* ---- what is said ---- */

/* What is given of a set: for all its paths, or for each. */
typedef struct given {
    const char *option; /* its name */
    trm_store_texts texts;
} given;

static given given_of(const trm_store_options *options, trm_side_kind kind, int set)
{
    const struct {
        const char *name, *const *one;
        const trm_store_texts *each;
    } all[TRM_SIDES][TRM_SETS] = {{{"labels", &options->labels, &options->each_labels},
                                   {"query-labels", &options->query_labels, &options->each_query_labels}},
                                  {{"ids", &options->ids, &options->each_ids},
                                   {"query-ids", &options->query_ids, &options->each_query_ids}}};
    const trm_store_texts *each = all[kind][set].each;
    const trm_store_texts one = {all[kind][set].one, *all[kind][set].one != NULL};
    return (given){all[kind][set].name, each->count > 0 ? *each : one};
}

/* Also a pipe or a device, which is refused when it is looked at; a folder may be called as a dataset is. */
static bool is_file(const char *path)
{
    struct stat there;
    return stat(path, &there) == 0 && !S_ISDIR(there.st_mode);
}

static trm_status add_side(trm_survey *found, trm_side_kind kind, const char *path, const char *column,
                           int *side, trm_error *err)
{
    if (found->sides == found->side_room) {
        const int room = 2 * found->side_room + 2;
        trm_side_file *larger = trm_grown(found->side, found->sides, room, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "the list of files", room, sizeof *larger);
        found->side = larger;
        found->side_room = room;
    }
    trm_side_file *file = &found->side[found->sides];
    memset(file, 0, sizeof *file); /* it travels as bytes */
    file->kind = kind;
    file->path_at = trm_survey_keep(found, "", path);
    file->column_at = column == NULL ? -1 : trm_survey_keep(found, "", column);
    *side = found->sides++;
    return file->path_at >= 0 && (column == NULL || file->column_at >= 0)
               ? TRM_OK
               : trm_fail_memory(err, "file names", found->size, 1);
}

/* A file that is there is one, whatever its name; else names that end as those of files do. */
static trm_status choose_file(trm_survey *found, trm_side_kind kind, const char *option, int *side,
                              trm_error *err)
{
    const char *colon = trm_path_colon(option);
    if (is_file(option) || trm_path_ends(option, ".npy") || trm_path_ends(option, ".txt") ||
        trm_path_is_table(option) || trm_path_is_json(option))
        return add_side(found, kind, option, NULL, side, err);
    if (colon == NULL)
        return TRM_OK;
    char *path = trm_format("%.*s", (int)(colon - option), option);
    trm_status status = path == NULL ? trm_fail_memory(err, "a file name", colon - option, 1) : TRM_OK;
    if (status == TRM_OK && (trm_path_is_table(path) || trm_path_is_json(path) || is_file(path)))
        status = add_side(found, kind, path, colon + 1, side, err);
    trm_free(path);
    return status;
}

/* Of the paths of a set. */
static trm_status choose_set(const given *is, trm_side_kind kind, int set, int paths, trm_choice *choice,
                             trm_survey *found, trm_error *err)
{
    const int count = is->texts.count;
    trm_status status = TRM_OK;
    if (count > 1 && count != paths)
        return trm_fail(
            err, TRM_ERR_USAGE,
            "--%s is given %d times, for %d %s: give it once for all, or once for each in their order",
            is->option, count, paths, set == 0 ? "stores" : "--queries");
    for (int i = 0; i < paths && count > 0 && status == TRM_OK; i++) {
        choice[i] = i > 0 && count == 1 ? choice[0] : (trm_choice){.option = is->texts.text[i], .side = -1};
        if (i == 0 || count > 1)
            status = choose_file(found, kind, choice[i].option, &choice[i].side, err);
    }
    return status;
}

/* Queries have a dataset of the same name, where nothing is said of theirs. */
static void choose_as_store(trm_choice *choice, int base, int paths)
{
    for (int i = base; i < paths; i++) {
        if (choice[i].option == NULL && choice[0].side < 0 && choice[0].option == choice[base - 1].option)
            choice[i].option = choice[0].option;
        choice[i].of_store = choice[i].option == choice[0].option;
    }
}

trm_status trm_sides_choose(int paths, const trm_store_options *options, trm_survey *found, trm_error *err)
{
    const int base = paths - options->queries;
    trm_status status = TRM_OK;
    found->paths = paths;
    for (int kind = 0; kind < TRM_SIDES && status == TRM_OK; kind++) {
        trm_choice *choice = found->choice[kind] = trm_alloc(paths, sizeof *choice);
        if (choice == NULL)
            return trm_fail_memory(err, "the list of files", paths, sizeof *choice);
        for (int i = 0; i < paths; i++)
            choice[i] = (trm_choice){.option = NULL, .side = -1};
        for (int set = 0; set < TRM_SETS && status == TRM_OK; set++) {
            const given is = given_of(options, (trm_side_kind)kind, set);
            if (set == 1 && is.texts.count > 0 && options->queries == 0)
                status = trm_fail(err, TRM_ERR_USAGE, "--%s goes with --queries only", is.option);
            else if (kind != TRM_SIDE_LABELS || !options->unlabelled)
                status = choose_set(&is, (trm_side_kind)kind, set, set == 0 ? base : options->queries,
                                    choice + (set == 0 ? 0 : base), found, err);
        }
        choose_as_store(choice, base, paths);
    }
    return status;
}

void trm_survey_free(trm_survey *found)
{
    for (int kind = 0; kind < TRM_SIDES; kind++)
        trm_free(found->choice[kind]);
    trm_free(found->side);
    trm_free(found->entry);
    trm_free(found->names);
    trm_sources_free(&found->sources);
}

/* ---- what there is ---- */

static const char *const kind_names[TRM_SIDES] = {"labels", "ids"};

/* Labels or ids as an array, of which each row is one. */
static trm_status look_at_matrix(const trm_named_file *about, trm_side_file *file, trm_error *err)
{
    const trm_matrix *matrix = &file->matrix;
    if (matrix->width != 1)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': has %" PRId64 " rows of %" PRId64
                        " values (%s), needs one value a row: write one column of it",
                        about->kind, about->path, matrix->rows, matrix->width, matrix->type);
    const bool ids = file->kind == TRM_SIDE_IDS;
    if (!trm_element_serves(&matrix->element, ids ? TRM_WANT_IDS : TRM_WANT_LABELS))
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': holds %s, needs %s", about->kind, about->path,
                        matrix->type, ids ? "integers" : "whole numbers");
    if (matrix->rows != file->rows)
        return trm_label_refuse_count(about, matrix->rows, "", file->rows, err);
    file->element = matrix->element;
    memcpy(file->type, matrix->type, sizeof file->type);
    return TRM_OK;
}

/* What is known to be something else than text. */
static trm_status refuse_binary(const trm_named_file *about, trm_error *err)
{
    int file = -1;
    int64_t bytes = 0;
    const trm_status status = trm_inspect_regular(about, &file, &bytes, err);
    if (status != TRM_OK)
        return status;
    const char *other =
        trm_superblock_look(file, bytes).found ? "an HDF5 file" : trm_first_bytes_known(file, bytes);
    close(file);
    return other == NULL
               ? TRM_OK
               : trm_fail(err, TRM_ERR_DATA, "%s '%s': neither a NumPy array (.npy) nor IDX nor text but %s",
                          about->kind, about->path, other);
}

static trm_status look_at_text(const trm_named_file *about, const char *column, trm_side_file *file,
                               trm_error *err)
{
    trm_status status = refuse_binary(about, err);
    if (status == TRM_OK)
        status = trm_label_text_look(about, column, file->rows, &file->text, err);
    trm_element *element = &file->element;
    element->class = !file->text.numbers      ? TRM_ELEMENT_VARIABLE
                     : file->text.is_unsigned ? TRM_ELEMENT_UNSIGNED
                                              : TRM_ELEMENT_SIGNED;
    element->size = element->stored = sizeof(int64_t);
    snprintf(file->type, sizeof file->type, "%s",
             !file->text.numbers      ? "strings"
             : file->text.is_unsigned ? "uint64"
                                      : "int64");
    return status;
}

/* What an entry calls its labels: "npy", "text", "column 3", "field topic". */
static void name_column(const trm_side_file *file, char name[TRM_SURVEY_NAME])
{
    if (file->matrix.name[0] != '\0')
        snprintf(name, TRM_SURVEY_NAME, "%s", file->matrix.name);
    else if (file->text.json && file->text.field[0] != '\0')
        snprintf(name, TRM_SURVEY_NAME, "field %s", file->text.field);
    else if (file->text.csv)
        snprintf(name, TRM_SURVEY_NAME, "column %" PRId64, file->text.column + 1);
    else
        snprintf(name, TRM_SURVEY_NAME, "text");
}

/* path, column: copies, as the survey's names may move. */
static trm_status look_at_side(const trm_named_file *about, const char *column, trm_side_file *file,
                               trm_survey *found, trm_error *err)
{
    char name[TRM_SURVEY_NAME];
    trm_status status = trm_sources_add_input(&found->sources, about, err);
    if (status == TRM_OK)
        status = trm_matrix_look(about, &file->matrix, err);
    const bool is_matrix = file->matrix.name[0] != '\0';
    if (status == TRM_OK && is_matrix && column != NULL)
        return trm_fail(err, TRM_ERR_USAGE,
                        "%s '%s': is %s, which has no columns with names: leave out ':%s'", about->kind,
                        about->path, file->matrix.name, column);
    if (status == TRM_OK)
        status = is_matrix ? look_at_matrix(about, file, err) : look_at_text(about, column, file, err);
    if (status != TRM_OK)
        return status;
    name_column(file, name);
    file->name_at = trm_survey_keep(found, "", name);
    return file->name_at >= 0 ? TRM_OK : trm_fail_memory(err, "file names", found->size, 1);
}

/* The rows that each is for. */
static void count_rows(trm_survey *found)
{
    for (int i = 0; i < found->files; i++)
        for (int kind = 0; kind < TRM_SIDES; kind++) {
            const trm_store_entry *entry = &found->entry[i];
            if (entry->side[kind] < 0 || entry->seen.rows == 0)
                continue;
            trm_side_file *file = &found->side[entry->side[kind]];
            file->first = file->rows == 0 ? entry->seen.first : file->first;
            file->rows += entry->seen.rows;
        }
}

static trm_element *element_of(trm_store_entry *entry, trm_side_kind kind)
{
    return kind == TRM_SIDE_LABELS ? &entry->labels : &entry->ids;
}

static const char *type_of(const trm_store_entry *entry, trm_side_kind kind)
{
    return kind == TRM_SIDE_LABELS ? entry->seen.labels_type : entry->seen.ids_type;
}

/* Do these entries have to be of one sort? Ids of queries are others than those of the store. */
static bool together(const trm_store_entry *a, const trm_store_entry *b, trm_side_kind kind)
{
    return b->seen.rows > 0 && (kind == TRM_SIDE_LABELS || a->seen.queries == b->seen.queries);
}

static bool are_names(trm_survey *found, int i, trm_side_kind kind)
{
    trm_store_entry *entry = &found->entry[i];
    return trm_element_names(entry->side[kind] < 0 ? element_of(entry, kind)
                                                   : &found->side[entry->side[kind]].element);
}

/* Numbers of a text are names where others, of the same sort, are. */
static void turn_into_names(trm_survey *found, int i, trm_side_kind kind)
{
    const trm_store_entry *entry = &found->entry[i];
    trm_side_file *file = entry->side[kind] < 0 ? NULL : &found->side[entry->side[kind]];
    bool names = false;
    for (int j = 0; j < found->files && file != NULL && file->text.numbers; j++)
        names = names || (together(entry, &found->entry[j], kind) && are_names(found, j, kind));
    if (!names)
        return;
    file->text.numbers = file->text.is_unsigned = false;
    file->element.class = TRM_ELEMENT_VARIABLE;
    snprintf(file->type, sizeof file->type, "strings");
}

/* All are numbers, or all names. Ids of HDF5 that are not are left aside later. */
static trm_status check_sorts(trm_survey *found, trm_side_kind kind, int i, trm_error *err)
{
    static const char *const sort[] = {"numbers", "names"};
    const trm_store_entry *entry = &found->entry[i];
    for (int j = 0; j < i; j++) {
        const trm_store_entry *other = &found->entry[j];
        const bool names = are_names(found, i, kind), other_names = are_names(found, j, kind);
        const int side = entry->side[kind] >= 0 ? entry->side[kind] : other->side[kind];
        if (names == other_names || !together(entry, other, kind) || (side < 0 && kind == TRM_SIDE_IDS))
            continue;
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': %s of '%s' are %s (%s), those of '%s' are %s (%s): make them the same sort",
                        side >= 0 ? kind_names[kind] : trm_file_kind(&entry->seen),
                        found->names + (side >= 0 ? found->side[side].path_at : entry->path_at),
                        kind_names[kind], found->names + entry->path_at, sort[names], type_of(entry, kind),
                        found->names + other->path_at, sort[other_names], type_of(other, kind));
    }
    return TRM_OK;
}

/* What entries have is what was found in the file. */
static void give(trm_survey *found, trm_store_entry *entry, trm_side_kind kind)
{
    const trm_side_file *file = &found->side[entry->side[kind]];
    *element_of(entry, kind) = file->element;
    if (kind == TRM_SIDE_LABELS) {
        entry->labels_at = file->name_at;
        memcpy(entry->seen.labels_type, file->type, sizeof entry->seen.labels_type);
    } else {
        entry->ids_at = file->name_at;
        memcpy(entry->seen.ids_type, file->type, sizeof entry->seen.ids_type);
    }
}

static trm_status settle_sorts(trm_survey *found, trm_side_kind kind, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int i = 0; i < found->files; i++)
        if (found->entry[i].seen.rows > 0)
            turn_into_names(found, i, kind);
    for (int i = 0; i < found->files; i++)
        if (found->entry[i].side[kind] >= 0)
            give(found, &found->entry[i], kind);
    for (int i = 0; i < found->files && status == TRM_OK; i++)
        if (found->entry[i].seen.rows > 0)
            status = check_sorts(found, kind, i, err);
    return status;
}

trm_status trm_sides_look(trm_survey *found, trm_error *err)
{
    trm_status status = TRM_OK;
    if (found->base_rows == 0 || (found->base_files < found->files && found->base_rows == found->rows))
        return TRM_OK; /* a set without rows is the error */
    count_rows(found);
    for (int s = 0; s < found->sides && status == TRM_OK; s++) {
        trm_side_file *file = &found->side[s];
        const bool of_use = file->kind == TRM_SIDE_IDS || !found->lacks_labels;
        char *path = trm_format("%s", found->names + file->path_at);
        char *column = file->column_at < 0 ? NULL : trm_format("%s", found->names + file->column_at);
        if (path == NULL || (file->column_at >= 0 && column == NULL))
            status = trm_fail_memory(err, "a file name", found->size, 1);
        else if (of_use)
            status = look_at_side(&(trm_named_file){kind_names[file->kind], path}, column, file, found, err);
        if (status == TRM_ERR_DATA && err != NULL && file->rows != found->dim && found->dim > 1 &&
            ((file->text.whole && file->text.records - file->text.heading == found->dim) ||
             (file->matrix.width == 1 && file->matrix.rows == found->dim))) {
            const size_t used = strlen(err->text);
            snprintf(err->text + used, sizeof err->text - used,
                     ": the rows have as many columns: is it transposed? Save its .T");
        }
        trm_free(path);
        trm_free(column);
    }
    for (int kind = 0; kind < TRM_SIDES && status == TRM_OK; kind++)
        if (trm_sides_any(found, (trm_side_kind)kind) && !(kind == TRM_SIDE_LABELS && found->lacks_labels))
            status = settle_sorts(found, (trm_side_kind)kind, err);
    return status;
}
