import * as blueprints from "@aws-quickstart/eks-blueprints";
import { App } from "aws-cdk-lib";
import { KubernetesVersion } from "aws-cdk-lib/aws-eks";
import { gate, IstioPcaAddOn } from "../lib/istio-pca-addon";

const clusterName = "blue"; // change
const certificateAuthorityArn = "CA_ARN"; // change
const account = process.env.CDK_DEFAULT_ACCOUNT!;
const region = process.env.CDK_DEFAULT_REGION!;

const app = new App();
blueprints.EksBlueprint.builder()
  .account(account)
  .region(region)
  .version(KubernetesVersion.V1_34)
  .addOns(
    new blueprints.addons.IstioBaseAddOn(),
    new IstioPcaAddOn({ certificateAuthorityArn, clusterName }),
    new blueprints.addons.IstioControlPlaneAddOn({ values: gate }),
  )
  .build(app, clusterName);
