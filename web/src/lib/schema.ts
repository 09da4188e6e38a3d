/** Fields of a form, from the JSON Schema of configurations. */

import { isNumber, isObject, JsonNumber, writeJson, type Json, type JsonObject } from "./json";

export type FieldKind =
  | "section" // an object with known keys
  | "union" // an object whose kind a key names
  | "rows" // a list of objects
  | "lines" // a list of texts
  | "pairs" // texts by key
  | "choice"
  | "boolean"
  | "number"
  | "text"
  | "json"; // anything else: as JSON

export interface Field {
  name: string;
  kind: FieldKind;
  required: boolean;
  nullable: boolean;
  /** Undefined where there is none. */
  default: Json | undefined;
  help: string;
  examples: Json[];
  /** Of a choice; a choice of one is fixed. */
  options: string[];
  /** Of a section, and of an item of rows. */
  fields: Field[];
  /** Of a union: key that names the kind, and the fields of each. */
  tag: string;
  variants: { name: string; help: string; fields: Field[] }[];
}

type Shape = JsonObject;

const shape = (value: Json | undefined): Shape => (isObject(value) ? value : new Map());
const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");
const list = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);

/** Return a schema with what it refers to in place; what stands beside a reference counts. */
function resolved(root: Shape, schema: Shape): Shape {
  const name = text(schema.get("$ref")).replace("#/$defs/", "");
  if (!name) return schema;
  return new Map([...resolved(root, shape(shape(root.get("$defs")).get(name))), ...[...schema].filter(([key]) => key !== "$ref")]);
}

/** Return the fields of a configuration, which its keys decide: those of bars name their kind. */
export function formOf(root: Json, document: Json | undefined): Field[] {
  const top = shape(root);
  const needed = list(shape(top.get("if")).get("required"));
  const isThen = needed.every((key) => isObject(document) && document.has(String(key)));
  const branch = top.has("if") ? shape(top.get(isThen ? "then" : "else")) : top;
  return fieldsOf(top, resolved(top, branch));
}

function fieldsOf(root: Shape, schema: Shape): Field[] {
  const required = list(schema.get("required"));
  return [...shape(schema.get("properties"))].map(([name, inner]) => fieldOf(root, name, shape(inner), required.includes(name)));
}

function fieldOf(root: Shape, name: string, given: Shape, required: boolean): Field {
  const whole = resolved(root, given);
  const options = list(whole.get("anyOf")).map((one) => resolved(root, shape(one)));
  const nullable = options.some((one) => one.get("type") === "null");
  const others = options.filter((one) => one.get("type") !== "null");
  const schema = others.length === 1 ? new Map([...others[0]!, ...whole]) : whole;
  const kind = options.length && others.length !== 1 ? "json" : kindOf(root, schema);
  const tag = text(shape(schema.get("discriminator")).get("propertyName"));
  return {
    name,
    kind,
    required,
    nullable,
    default: schema.get("default"),
    help: text(schema.get("description")).replace(/\s+/g, " "),
    examples: [...list(schema.get("examples"))],
    options: schema.has("const") ? [text(schema.get("const"))] : list(schema.get("enum")).map(text),
    fields: kind === "section" ? fieldsOf(root, schema) : kind === "rows" ? fieldsOf(root, resolved(root, shape(schema.get("items")))) : [],
    tag,
    variants: kind === "union" ? list(schema.get("oneOf")).map((one) => variantOf(root, resolved(root, shape(one)), tag)) : [],
  };
}

function variantOf(root: Shape, schema: Shape, tag: string): Field["variants"][number] {
  const fields = fieldsOf(root, schema);
  return {
    name: fields.find((field) => field.name === tag)?.options[0] ?? "",
    help: text(schema.get("description")),
    fields: fields.filter((field) => field.name !== tag && (field.kind !== "section" || field.fields.length > 0)),
  };
}

function kindOf(root: Shape, schema: Shape): FieldKind {
  if (schema.has("oneOf")) return schema.has("discriminator") ? "union" : "json";
  if (schema.has("enum") || schema.has("const")) return "choice";
  switch (schema.get("type")) {
    case "boolean":
      return "boolean";
    case "integer":
    case "number":
      return "number";
    case "string":
      return "text";
    case "array": {
      const items = resolved(root, shape(schema.get("items")));
      return items.has("properties") ? "rows" : items.get("type") === "string" ? "lines" : "json";
    }
    case "object":
      if (schema.has("properties")) return "section";
      return shape(schema.get("additionalProperties")).get("type") === "string" ? "pairs" : "json";
    default:
      return "json";
  }
}

/** Whether a form can show a value in a field of a kind; what it cannot is edited as JSON. */
export function fits(kind: FieldKind, value: Json | undefined): boolean {
  if (value === undefined || value === null) return true;
  switch (kind) {
    case "section":
    case "union":
      return isObject(value);
    case "pairs":
      return isObject(value) && [...value.values()].every((one) => typeof one === "string");
    case "rows":
      return Array.isArray(value) && value.every((one) => isObject(one as Json));
    case "lines":
      return Array.isArray(value) && value.every((one) => typeof one === "string");
    case "boolean":
    case "choice":
    case "number":
    case "text":
      return typeof value !== "object" || value instanceof JsonNumber;
    case "json":
      return true;
  }
}

/** Return what a typed text is: a number where it is one, else the text, which the service refuses. */
export function numberOf(typed: string): Json {
  const trimmed = typed.trim().replace(/^\+/, "").replace(/^(-?)\./, "$10.").replace(/\.(?=$|[eE])/, "");
  return isNumber(trimmed) ? new JsonNumber(trimmed) : typed;
}

/** Return a value as a field shows it. */
export function shown(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  if (value instanceof JsonNumber) return value.text;
  return typeof value === "string" ? value : writeJson(value, 0);
}

/** Return a document of what must be given: fixed values, null where allowed, else examples. */
export function startOf(fields: readonly Field[]): Json {
  return new Map(fields.filter((field) => field.required).map((field) => [field.name, startValue(field)]));
}

function startValue(field: Field): Json {
  if (field.nullable) return null;
  if (field.kind === "section") return startOf(field.fields);
  const [example] = field.examples;
  if (field.kind === "choice") return example ?? field.options[0] ?? "";
  if (field.kind === "rows") return [startOf(field.fields)];
  if (field.kind === "number") return numberOf(shown(example) || "0");
  if (field.kind === "boolean") return example ?? false;
  return example ?? (field.kind === "text" ? "" : new Map<string, Json>());
}
