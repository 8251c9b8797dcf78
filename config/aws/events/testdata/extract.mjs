// Writes cloudformation.json: what the CloudFormation registry says of the resource types in the templates, as far as
// the tests need it. AWS publishes the registry's schemas in the npm package @aws-cdk/aws-service-spec (Apache-2.0).
// To refresh, or for another type:
//
//   npm pack @aws-cdk/aws-service-spec
//   tar xzf aws-cdk-aws-service-spec-*.tgz
//   node extract.mjs package > cloudformation.json
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

const types = [
  "AWS::EKS::PodIdentityAssociation",
  "AWS::Events::EventBus",
  "AWS::Events::EventBusPolicy",
  "AWS::Events::Rule",
  "AWS::IAM::ManagedPolicy",
  "AWS::IAM::Role",
  "AWS::S3::Bucket",
  "AWS::S3::BucketPolicy",
  "AWS::SQS::Queue",
  "AWS::SQS::QueuePolicy",
];

const [folder] = process.argv.slice(2);
const { schema } = JSON.parse(gunzipSync(readFileSync(join(folder, "db.json.gz"))));
const { version } = JSON.parse(readFileSync(join(folder, "package.json")));
const definitions = new Map(Object.values(schema.typeDefinition.entities).map((d) => [d.$id, d]));

function type(t) {
  switch (t.type) {
    case "ref":
      return { object: properties(definitions.get(t.reference.$ref).properties) };
    case "array":
      return { list: type(t.element) };
    case "map":
      return { map: type(t.element) };
    case "tag":
      return { object: { Key: { type: "string", required: true }, Value: { type: "string", required: true } } };
    case "union": // Only a document that may be written as a string, too; see checker.document.
      if (t.types.some((member) => member.type === "json")) {
        return "json";
      }
      throw new Error(`unknown union ${JSON.stringify(t)}`);
    case "date-time":
      return "string";
    case "string":
    case "integer":
    case "number":
    case "boolean":
    case "json":
      return t.type;
    default:
      throw new Error(`unknown type ${JSON.stringify(t)}`);
  }
}

function properties(all) {
  return Object.fromEntries(
    Object.entries(all)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, p]) => [name, { type: type(p.type), ...(p.required && { required: true }) }]),
  );
}

const resources = Object.fromEntries(
  types.map((name) => {
    const found = Object.values(schema.resource.entities).find((r) => r.cloudFormationType === name);
    return [name, { attributes: Object.keys(found.attributes).sort(), properties: properties(found.properties) }];
  }),
);
process.stdout.write(JSON.stringify({ source: `@aws-cdk/aws-service-spec ${version}`, resources }, null, 1) + "\n");
