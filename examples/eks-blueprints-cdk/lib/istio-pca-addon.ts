import * as blueprints from "@aws-quickstart/eks-blueprints";
import { Duration, Stack } from "aws-cdk-lib";
import { ServiceAccount } from "aws-cdk-lib/aws-eks";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Construct } from "constructs";

export interface IstioPcaProps extends blueprints.HelmAddOnUserProps {
  /** The private CA that signs. */
  certificateAuthorityArn: string;
  /** Told apart in the subject of the intermediate. */
  clusterName: string;
}

/** Values for IstioControlPlaneAddOn: istiod cannot start before cacerts is there, whoever installs it. */
export const gate: blueprints.Values = {
  volumes: [{ name: "cacerts-required", secret: { secretName: "cacerts" } }],
  volumeMounts: [{ name: "cacerts-required", mountPath: "/etc/cacerts-required", readOnly: true }],
  env: { ROOT_CA_DIR: "/etc/cacerts-required" },
};

const serviceAccount = "istio-pca";

/**
 * Has AWS Private CA sign Istio's intermediate CA, before the control plane is installed.
 * It comes after IstioBaseAddOn, which makes the namespace, and IstioControlPlaneAddOn comes after it.
 */
export class IstioPcaAddOn extends blueprints.HelmAddOn implements blueprints.ClusterPostDeploy {
  private readonly given: IstioPcaProps;
  private chart?: Construct;

  constructor(props: IstioPcaProps) {
    const { certificateAuthorityArn, clusterName, ...helm } = props;
    super({
      name: "istio-pca",
      release: "istio-pca",
      namespace: "istio-system",
      chart: "oci://ghcr.io/istio-pca/charts/istio-pca",
      version: "0.1.0",
      ...helm,
    });
    this.given = props;
  }

  @blueprints.utils.dependable("IstioBaseAddOn")
  deploy(clusterInfo: blueprints.ClusterInfo): Promise<Construct> {
    const namespace = this.props.namespace!;
    const account = clusterInfo.cluster.addServiceAccount(serviceAccount, { name: serviceAccount, namespace });
    allow(account, this.given.certificateAuthorityArn);
    const own = {
      config: {
        certificateAuthorityArn: this.given.certificateAuthorityArn,
        clusterName: this.given.clusterName,
      },
      serviceAccount: {
        create: false,
        name: serviceAccount,
        // named here too: the chart then needs nothing of the identity webhook, which may be too late for a new account
        annotations: { "eks.amazonaws.com/role-arn": account.role.roleArn },
      },
    };
    const chart = this.addHelmChart(clusterInfo, { ...own, ...this.props.values }, false, true, Duration.minutes(5));
    chart.node.addDependency(account);
    this.chart = chart;
    return Promise.resolve(chart);
  }

  postDeploy(clusterInfo: blueprints.ClusterInfo): void {
    const istiod = clusterInfo.getProvisionedAddOn("IstioControlPlaneAddOn");
    if (istiod && this.chart) {
      istiod.node.addDependency(this.chart);
    }
  }
}

/** The least policy: one template of one CA. `istio-pca policy` prints it for other configs. */
function allow(account: ServiceAccount, certificateAuthorityArn: string): void {
  const template = `arn:${Stack.of(account).partition}:acm-pca:::template/SubordinateCACertificate_PathLen0/V1`;
  account.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ["acm-pca:IssueCertificate"],
      resources: [certificateAuthorityArn],
      conditions: { StringEquals: { "acm-pca:TemplateArn": template } },
    }),
  );
  account.addToPrincipalPolicy(
    new PolicyStatement({
      actions: [
        "acm-pca:DescribeCertificateAuthority",
        "acm-pca:GetCertificate",
        "acm-pca:GetCertificateAuthorityCertificate",
      ],
      resources: [certificateAuthorityArn],
    }),
  );
}
